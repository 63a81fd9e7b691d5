"""`AsyncTokenReader`: the same reader for asyncio. boto3 blocks, so what is not cached is read in a
thread of the loop's default executor; what is cached never leaves the loop."""

import asyncio
from collections.abc import Iterable

from ha_goto_tokens.errors import TokenError
from ha_goto_tokens.item import AccessToken
from ha_goto_tokens.reader import MIN_VALID, TokenReader


class AsyncTokenReader:
    """Wraps a `TokenReader`, whose cache both share."""

    def __init__(self, reader: TokenReader) -> None:
        self.reader = reader
        self._under_way: dict[tuple[str, int], asyncio.Task[AccessToken]] = {}

    async def get(self, tenant: str, min_valid_seconds: int = MIN_VALID) -> AccessToken:
        """As `TokenReader.get`. Tasks that miss together take one thread, not one each."""
        token = self.reader.cached(tenant, min_valid_seconds)
        if token is not None:
            return token
        key = (tenant, min_valid_seconds)
        task = self._under_way.get(key)
        if task is None:
            reading = asyncio.to_thread(self.reader.get, tenant, min_valid_seconds)
            task = self._under_way[key] = asyncio.create_task(reading)
            task.add_done_callback(lambda done: self._land(key, done))
        # One waiting task that is cancelled must not end the read of the others.
        return await asyncio.shield(task)

    async def rejected(self, token: AccessToken, min_valid_seconds: int = MIN_VALID) -> AccessToken:
        """As `TokenReader.rejected`."""
        return await asyncio.to_thread(self.reader.rejected, token, min_valid_seconds)

    async def get_many(
        self, tenants: Iterable[str], min_valid_seconds: int = MIN_VALID
    ) -> dict[str, AccessToken | TokenError]:
        """As `TokenReader.get_many`."""
        return await asyncio.to_thread(self.reader.get_many, list(tenants), min_valid_seconds)

    def _land(self, key: tuple[str, int], done: asyncio.Task[AccessToken]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # told to those who wait; nobody waiting is no fault
