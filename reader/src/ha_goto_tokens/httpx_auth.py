"""An auth class for `httpx`, sync and async: adds the header, handles one 401, and reports a 403.

httpx.get(url, auth=GoToAuth(reader, "acme"))
"""

from collections.abc import AsyncGenerator, Generator

import httpx

from ha_goto_tokens.aio import AsyncTokenReader
from ha_goto_tokens.http_rules import Verdict, check, verdict
from ha_goto_tokens.item import AccessToken
from ha_goto_tokens.reader import TokenReader


class GoToAuth(httpx.Auth):
    """Sends one tenant's token. Stores none: each request asks the reader."""

    def __init__(self, reader: TokenReader | AsyncTokenReader, tenant: str) -> None:
        self._async = reader if isinstance(reader, AsyncTokenReader) else AsyncTokenReader(reader)
        self._reader = self._async.reader
        self._tenant = tenant

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        """Raises what `TokenReader.get` raises, and `ValueError` if the address is not https."""
        check(str(request.url))
        token = self._reader.get(self._tenant)
        response = yield _with(request, token)
        if _about(response, token):
            response.read()
        match _verdict(response, token):
            case Verdict.FORBIDDEN:
                self._reader.forbidden(token)
            case Verdict.REJECTED:
                newer = self._reader.rejected(token)
                if _replayable(request):
                    yield _with(request, newer)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Like `sync_auth_flow`."""
        check(str(request.url))
        token = await self._async.get(self._tenant)
        response = yield _with(request, token)
        if _about(response, token):
            await response.aread()
        match _verdict(response, token):
            case Verdict.FORBIDDEN:
                await self._async.forbidden(token)
            case Verdict.REJECTED:
                newer = await self._async.rejected(token)
                if _replayable(request):
                    yield _with(request, newer)


def _with(request: httpx.Request, token: AccessToken) -> httpx.Request:
    request.headers["Authorization"] = token.authorization
    return request


def _about(response: httpx.Response, token: AccessToken) -> bool:
    """Whether it is a 401 or 403 to our token: a redirect to another host drops the header."""
    sent = response.request.headers.get("Authorization")
    return response.status_code in (401, 403) and sent == token.authorization


def _verdict(response: httpx.Response, token: AccessToken) -> Verdict:
    if not _about(response, token):
        return Verdict.FINE
    return verdict(response.status_code, response.content)


def _replayable(request: httpx.Request) -> bool:
    return isinstance(request.stream, httpx.ByteStream)
