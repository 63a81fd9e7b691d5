"""GoTo over HTTPS: token, revocation and account requests, each with its deadline.

Judges nothing: complete answers leave as they came, everything else as `ProviderUnreachable`.
"""

import json
import time
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy

import requests

from chalicelib.config import Settings
from chalicelib.deadline import DeadlineAdapter, Watch, watch
from chalicelib.errors import ProviderUnreachable
from chalicelib.model import Revocation
from chalicelib.oauth import Answer, ClientCredentials, basic_authorization, judge_client
from chalicelib.times import ASK_DEADLINE, GOTO_CONNECT_TIMEOUT, GOTO_READ_TIMEOUT, SIDE_DEADLINE

LARGEST_ANSWER = 64 * 1024
"""Bytes; a token answer has about 4,000."""


SCIM_EXTENSION = "urn:scim:schemas:extension:getgo:1.0"


class GoTo:
    """One invocation's connection to GoTo: idle connections would not outlive a frozen Lambda."""

    def __init__(
        self, settings: Settings, connections: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no .netrc that would replace our credentials
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = DeadlineAdapter(pool_connections=2, pool_maxsize=connections, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def token(self, client: ClientCredentials, form: dict[str, str]) -> Answer:
        """Ask the token endpoint. Raises `ProviderUnreachable`."""
        return self._send(
            "POST",
            self._settings.token_url,
            basic_authorization(client, self._settings.client_auth),
            ASK_DEADLINE,
            form,
        )

    def revoke(self, client: ClientCredentials, token: str) -> Revocation:
        """Withdraw a token (RFC 7009 2.2): done once GoTo says that it is gone or never was.

        Refused where there is nobody to ask, or GoTo no longer knows the client; anything else
        is worth another try.
        """
        if self._settings.revoke_url is None:
            return Revocation.REFUSED
        authorization = basic_authorization(client, self._settings.client_auth)
        try:
            answer = self._send(
                "POST", self._settings.revoke_url, authorization, SIDE_DEADLINE, {"token": token}
            )
        except ProviderUnreachable:
            return Revocation.LATER
        if answer.status == 200:
            return Revocation.DONE
        return Revocation.REFUSED if judge_client(answer) is False else Revocation.LATER

    def account(self, access_token: str) -> str | None:
        """The key of the GoTo account that a token belongs to; None where it can't be read."""
        if self._settings.api_url is None:
            return None
        deadline = self._clock() + SIDE_DEADLINE
        for path in ("/users/v1/me", "/identity/v1/Users/me"):
            try:
                answer = self._send(
                    "GET",
                    self._settings.api_url + path,
                    f"Bearer {access_token}",
                    deadline - self._clock(),
                )
            except ProviderUnreachable:
                continue
            key = _account_key(answer) if answer.status == 200 else None
            if key is not None:
                return key
        return None

    def _send(
        self,
        method: str,
        url: str,
        authorization: str,
        seconds: float,
        form: dict[str, str] | None = None,
    ) -> Answer:
        if seconds <= 0:
            raise ProviderUnreachable("no time left", sent=False)
        with watch(seconds) as watching:
            try:
                with self._session.request(
                    method,
                    url,
                    data=form,
                    headers={"Authorization": authorization, "Accept": "application/json"},
                    timeout=(min(GOTO_CONNECT_TIMEOUT, seconds), min(GOTO_READ_TIMEOUT, seconds)),
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


def _account_key(answer: Answer) -> str | None:
    """The account key in either API's answer: users/v1/me, or SCIM with GoTo's extension."""
    try:
        body = json.loads(answer.body)
        if "items" in body:
            found = body["items"][0]["accountKey"]
        else:
            found = body[SCIM_EXTENSION]["accounts"][0]["value"]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return str(found) if isinstance(found, str | int) and found else None
