"""Requests of others over HTTPS: bounded in time and size, and to nowhere else (S17).

Judges nothing: complete answers leave as they came, everything else as `ProviderUnreachable`.
"""

from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy

import requests

from chalicelib.deadline import DeadlineAdapter, Watch, watch
from chalicelib.errors import ProviderUnreachable
from chalicelib.oauth import Answer
from chalicelib.times import OUTBOUND_CONNECT_TIMEOUT, OUTBOUND_READ_TIMEOUT

LARGEST_ANSWER = 64 * 1024
"""Bytes; a token answer has about 4,000."""


class Outbound:
    """One invocation's connections: idle ones would not outlive a frozen Lambda."""

    def __init__(self, connections: int) -> None:
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no .netrc that would replace our credentials
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = DeadlineAdapter(pool_connections=2, pool_maxsize=connections, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        seconds: float,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask once, ``seconds`` for the whole. Raises `ProviderUnreachable`."""
        if seconds <= 0:
            raise ProviderUnreachable("no time left", sent=False)
        connect, read = OUTBOUND_CONNECT_TIMEOUT, OUTBOUND_READ_TIMEOUT
        with watch(seconds) as watching:
            try:
                with self._session.request(
                    method,
                    url,
                    data=form,
                    headers=headers,
                    timeout=(min(connect, seconds), min(read, seconds)),
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    answer = Answer(response.status_code, _body(response))
            except (requests.RequestException, OSError) as error:
                raise ProviderUnreachable(_reason(error, watching), sent=watching.sent) from None
        if watching.over and not _has_length(response):  # such a body just ends when it is cut
            raise ProviderUnreachable("answer too slow", sent=True)
        return answer


def _has_length(response: requests.Response) -> bool:
    """Whether a body cut short would have been noticed: a complete answer is never thrown away."""
    framing = response.headers.get("Transfer-Encoding", "").lower()
    return "Content-Length" in response.headers or "chunked" in framing


def _body(response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(8_192):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise ProviderUnreachable("answer too large", sent=True)
    return bytes(body)


def _reason(error: Exception, watching: Watch) -> str:
    if watching.over:
        return "answer too slow"
    if isinstance(error, requests.exceptions.SSLError):
        return "TLS failed"
    if isinstance(error, requests.Timeout):
        return "no answer in time" if watching.sent else "no connection in time"
    return "connection broken" if watching.sent else "no connection"
