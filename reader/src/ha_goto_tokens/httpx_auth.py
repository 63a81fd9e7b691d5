"""An auth class for `httpx`, its sync and its async client: adds the header, and handles one 401.

httpx.get(url, auth=GoToAuth(reader, "acme"))
"""

from collections.abc import AsyncGenerator, Generator

import httpx

from ha_goto_tokens import destination
from ha_goto_tokens.aio import AsyncTokenReader
from ha_goto_tokens.item import AccessToken
from ha_goto_tokens.reader import TokenReader


class GoToAuth(httpx.Auth):
    """The token of one tenant. Holds none itself: each request asks the reader."""

    def __init__(self, reader: TokenReader | AsyncTokenReader, tenant: str) -> None:
        self._async = reader if isinstance(reader, AsyncTokenReader) else AsyncTokenReader(reader)
        self._reader = self._async.reader
        self._tenant = tenant

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Raises what `TokenReader.get` does; `ValueError` for an address that is not https."""
        destination.check(str(request.url))
        token = self._reader.get(self._tenant)
        response = yield _with(request, token)
        if _refused(response, token):
            newer = self._reader.rejected(token)
            if _replayable(request):
                response.read()
                yield _with(request, newer)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """As `sync_auth_flow`."""
        destination.check(str(request.url))
        token = await self._async.get(self._tenant)
        response = yield _with(request, token)
        if _refused(response, token):
            newer = await self._async.rejected(token)
            if _replayable(request):
                await response.aread()
                yield _with(request, newer)


def _with(request: httpx.Request, token: AccessToken) -> httpx.Request:
    request.headers["Authorization"] = token.authorization
    return request


def _refused(response: httpx.Response, token: AccessToken) -> bool:
    """After a redirect to another host the header is gone: that 401 is not about our token."""
    sent = response.request.headers.get("Authorization")
    return response.status_code == 401 and sent == token.authorization


def _replayable(request: httpx.Request) -> bool:
    return isinstance(request.stream, httpx.ByteStream)
