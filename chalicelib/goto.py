"""GoTo's endpoints: token, revocation and account requests, each with its deadline.

Judges nothing: complete answers leave as they came, everything else as `ProviderUnreachable`.
"""

import time
from collections.abc import Callable

from chalicelib.config import Settings
from chalicelib.errors import ProviderUnreachable
from chalicelib.model import Revocation
from chalicelib.oauth import (
    Answer,
    ClientCredentials,
    basic_authorization,
    json_object,
    judge_client,
)
from chalicelib.outbound import Outbound
from chalicelib.times import ASK_DEADLINE, SIDE_DEADLINE

SCIM_EXTENSION = "urn:scim:schemas:extension:getgo:1.0"


class GoTo:
    """GoTo as one invocation asks it; ``ask_deadline`` in seconds, for a token request, where it is
    another than the usual."""

    def __init__(
        self,
        settings: Settings,
        outbound: Outbound,
        ask_deadline: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._outbound = outbound
        self._ask_deadline = ask_deadline or ASK_DEADLINE
        self._clock = clock

    def token(self, client: ClientCredentials, form: dict[str, str]) -> Answer:
        """Ask the token endpoint. Raises `ProviderUnreachable`."""
        return self._send(
            "POST",
            self._settings.token_url,
            basic_authorization(client, self._settings.client_auth),
            self._ask_deadline,
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
        headers = {"Authorization": authorization, "Accept": "application/json"}
        return self._outbound.send(method, url, headers, seconds, form)


def _account_key(answer: Answer) -> str | None:
    """The account key in either API's answer: users/v1/me, or SCIM with GoTo's extension."""
    body = json_object(answer.body)
    try:
        if "items" in body:
            found = body["items"][0]["accountKey"]
        else:
            found = body[SCIM_EXTENSION]["accounts"][0]["value"]
    except (KeyError, IndexError, TypeError):
        return None
    return str(found) if isinstance(found, str | int) and found else None
