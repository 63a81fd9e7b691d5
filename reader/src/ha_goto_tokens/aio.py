"""`AsyncTokenReader`: the same reader for asyncio, for any number of loops and threads.

A cached token is returned without leaving the loop. boto3 blocks, so a read runs in one of the
reader's own threads. The reader keeps no state of a loop: you may stop a loop at any time.
"""

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress

from ha_goto_tokens.errors import TokenError
from ha_goto_tokens.item import AccessToken
from ha_goto_tokens.reader import MIN_VALID, TokenReader


class AsyncTokenReader:
    """Wraps a `TokenReader` and shares its memory."""

    def __init__(self, reader: TokenReader) -> None:
        self.reader = reader

    async def get(self, tenant: str, min_valid_seconds: int = MIN_VALID) -> AccessToken:
        """Like `TokenReader.get`. Tasks that need the same read share it, even across loops."""
        token = self.reader.cached(tenant, min_valid_seconds)
        while token is None:
            flight = self.reader.begin(tenant, min_valid_seconds)
            await _landed(flight)
            if not flight.cancelled() and not self.reader.is_rejected(flight.result()):
                return flight.result()
            token = self.reader.cached(tenant, min_valid_seconds)
        return token

    async def rejected(self, token: AccessToken, min_valid_seconds: int = MIN_VALID) -> AccessToken:
        """Like `TokenReader.rejected`."""
        self.reader.reject(token)
        return await self.get(token.tenant, min_valid_seconds)

    async def forbidden(self, token: AccessToken) -> AccessToken:
        """Like `TokenReader.forbidden`."""
        return await asyncio.to_thread(self.reader.forbidden, token)

    async def get_many(
        self, tenants: Iterable[str], min_valid_seconds: int = MIN_VALID
    ) -> dict[str, AccessToken | TokenError]:
        """Like `TokenReader.get_many`."""
        return await asyncio.to_thread(self.reader.get_many, list(tenants), min_valid_seconds)


async def _landed(flight: Future[AccessToken]) -> None:
    """Wait for a flight. Cancelling this ends the wait, not the flight."""
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
