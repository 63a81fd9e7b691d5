"""An auth class for `requests`: adds the header, handles one 401, and reports a 403.

requests.get(url, auth=GoToAuth(reader, "acme"), timeout=10)
"""

from typing import Any

from requests import PreparedRequest, Response
from requests.auth import AuthBase
from requests.cookies import extract_cookies_to_jar

from ha_goto_tokens.http_rules import Verdict, check, verdict
from ha_goto_tokens.item import AccessToken
from ha_goto_tokens.reader import TokenReader


class GoToAuth(AuthBase):
    """Sends one tenant's token. Stores none: each request asks the reader."""

    def __init__(self, reader: TokenReader, tenant: str) -> None:
        self._reader = reader
        self._tenant = tenant

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Raises what `TokenReader.get` raises, and `ValueError` if the address is not https."""
        check(request.url or "")
        token = self._reader.get(self._tenant)
        start = _position(request.body)

        def answered(response: Response, **settings: Any) -> Response:
            return self._judged(response, token, start, settings)

        request.headers["Authorization"] = token.authorization
        request.register_hook("response", answered)  # type: ignore[no-untyped-call]  # as typeshed has it
        return request

    def _judged(
        self, response: Response, token: AccessToken, start: int | None, settings: dict[str, Any]
    ) -> Response:
        sent = response.request
        match _verdict(response, token):
            case Verdict.FINE:
                return response
            case Verdict.FORBIDDEN:
                self._reader.forbidden(token)
                return response
        newer = self._reader.rejected(token)
        if not _replayable(sent.body, start):
            return response
        response.close()
        again = sent.copy()
        if start is not None:
            again.body.seek(start)  # type: ignore[union-attr]  # it told its position before
        extract_cookies_to_jar(again._cookies, sent, response.raw)  # type: ignore[attr-defined, no-untyped-call]  # noqa: SLF001 - as requests' digest class
        again.prepare_cookies(again._cookies)  # type: ignore[attr-defined]  # noqa: SLF001 - likewise
        again.headers["Authorization"] = newer.authorization
        answer: Response = response.connection.send(again, **settings)
        answer.history.append(response)
        answer.request = again
        return answer


def _verdict(response: Response, token: AccessToken) -> Verdict:
    """A redirect to another host drops the header: that answer is not about our token.

    Reads a 401 or 403 to its end, so that the connection can be reused.
    """
    ours = response.request.headers.get("Authorization") == token.authorization
    if not ours or response.status_code not in (401, 403):
        return Verdict.FINE
    return verdict(response.status_code, response.content)


def _position(body: Any) -> int | None:
    """The position in a file-like body; None if it is not a file."""
    try:
        return int(body.tell())
    except (AttributeError, OSError):
        return None


def _replayable(body: Any, start: int | None) -> bool:
    return body is None or isinstance(body, (str, bytes)) or start is not None
