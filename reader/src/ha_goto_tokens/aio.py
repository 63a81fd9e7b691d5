"""`AsyncTokenReader`: the same reader for asyncio, for any number of loops and threads.

What is cached never leaves the loop. boto3 blocks, so a read runs in a thread of the reader's own.
It holds nothing of a loop: one that is stopped in the middle leaves nothing behind.
"""

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress

from ha_goto_tokens.errors import TokenError
from ha_goto_tokens.item import AccessToken
from ha_goto_tokens.reader import MIN_VALID, TokenReader


class AsyncTokenReader:
    """Wraps a `TokenReader`, whose memory both share."""

    def __init__(self, reader: TokenReader) -> None:
        self.reader = reader

    async def get(self, tenant: str, min_valid_seconds: int = MIN_VALID) -> AccessToken:
        """As `TokenReader.get`. Tasks that miss together wait for one read, whatever their loop."""
        token = self.reader.cached(tenant, min_valid_seconds)
        while token is None:
            flight = self.reader.begin(tenant, min_valid_seconds)
            await _landed(flight)
            if not flight.cancelled() and not self.reader.is_rejected(flight.result()):
                return flight.result()
            token = self.reader.cached(tenant, min_valid_seconds)
        return token

    async def rejected(self, token: AccessToken, min_valid_seconds: int = MIN_VALID) -> AccessToken:
        """As `TokenReader.rejected`."""
        self.reader.reject(token)
        return await self.get(token.tenant, min_valid_seconds)

    async def forbidden(self, token: AccessToken) -> AccessToken:
        """As `TokenReader.forbidden`."""
        return await asyncio.to_thread(self.reader.forbidden, token)

    async def get_many(
        self, tenants: Iterable[str], min_valid_seconds: int = MIN_VALID
    ) -> dict[str, AccessToken | TokenError]:
        """As `TokenReader.get_many`."""
        return await asyncio.to_thread(self.reader.get_many, list(tenants), min_valid_seconds)


async def _landed(flight: Future[AccessToken]) -> None:
    """Wait for a flight. To be cancelled here ends the waiting, not the flight."""
    loop = asyncio.get_running_loop()
    waiting = loop.create_future()

    def wake() -> None:
        if not waiting.done():
            waiting.set_result(None)

    def land(_: Future[AccessToken]) -> None:
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(wake)

    flight.add_done_callback(land)
    await waiting
