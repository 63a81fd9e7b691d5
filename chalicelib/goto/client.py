"""GoTo's endpoints, each with its deadline: token, revocation, authorize address, API reads."""

from __future__ import annotations

import time
from collections.abc import Callable

from chalicelib.config import Settings
from chalicelib.durations import ASK_DEADLINE, REDIRECT_DEADLINE, SIDE_DEADLINE
from chalicelib.errors import ProviderUnreachable
from chalicelib.goto import api
from chalicelib.goto.http import Outbound
from chalicelib.goto.oauth import (
    Answer,
    authorization_url,
    basic_authorization,
    new_verifier,
)
from chalicelib.goto.token_response import judge_client
from chalicelib.models import ClientCredentials, Revocation
from chalicelib.opaque import new_value
from chalicelib.permissions import GoToAccount, Usable


class GoTo:
    """GoTo for one invocation. ``ask_deadline``: seconds for a token request; None for the usual
    `ASK_DEADLINE`."""

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
        """The token endpoint's answer, unjudged. Raises `ProviderUnreachable`."""
        return self._send(
            "POST",
            self._settings.token_url,
            basic_authorization(client, self._settings.client_auth),
            self._ask_deadline,
            form,
        )

    def revoke(self, client: ClientCredentials, token: str) -> Revocation:
        """Revoke a token (RFC 7009 2.2): `DONE` once GoTo confirms, even if it has no such token.

        `REFUSED` if there is no revocation endpoint, or GoTo itself no longer recognizes the
        client. Otherwise `LATER`: a proxy's page does not speak for GoTo (F36).
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
        if answer.status == 200 and not _is_page(answer):
            return Revocation.DONE
        return Revocation.REFUSED if judge_client(answer) is False else Revocation.LATER

    def accounts(self, access_token: str) -> tuple[GoToAccount, ...] | None:
        """All accounts of the person whom a token belongs to; None if they can't be read. If there
        are several, with their names, because the admin must choose."""
        if self._settings.api_url is None:
            return None
        deadline = self._clock() + SIDE_DEADLINE
        for path in (api.USERS_ME, api.SCIM_ME):
            answer = self._read(self._settings.api_url + path, access_token, deadline)
            found = api.accounts(answer) if answer else None
            if found is not None:
                return self._named(found, access_token, deadline) if len(found) > 1 else found
        return None

    def authorize(self, client_id: str, redirect_uri: str) -> Answer:
        """The authorize address's answer without cookies. Raises `ProviderUnreachable`."""
        url = authorization_url(
            self._settings.authorize_url,
            client_id=client_id,
            redirect_uri=redirect_uri,
            state=new_value(),
            verifier=new_verifier(),
            scope=self._settings.scope,
        )
        return self._outbound.send("GET", url, {"Accept": "text/html"}, REDIRECT_DEADLINE)

    def _named(
        self, found: tuple[GoToAccount, ...], access_token: str, deadline: float
    ) -> tuple[GoToAccount, ...]:
        """``found`` with the names that GoTo has for them."""
        if self._settings.admin_url is None:
            return found
        answer = self._read(self._settings.admin_url + api.ADMIN_ME, access_token, deadline)
        return api.named(found, (answer and api.accounts(answer)) or ())

    def read_calls(self, access_token: str, account: str | None) -> Usable:
        """Whether a token can read call reports, by the cheapest read of them (F33)."""
        if self._settings.api_url is None:
            return Usable.UNKNOWN
        url = self._settings.api_url + api.cheapest_read(time.time(), account)
        answer = self._read(url, access_token, self._clock() + SIDE_DEADLINE)
        return api.usable(answer) if answer else Usable.UNKNOWN

    def _read(self, url: str, access_token: str, deadline: float) -> Answer | None:
        """One read of GoTo's API; None if no complete answer came by ``deadline``."""
        try:
            return self._send("GET", url, f"Bearer {access_token}", deadline - self._clock())
        except ProviderUnreachable:
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


def connect(settings: Settings, connections: int, ask_deadline: float | None) -> GoTo:
    return GoTo(settings, Outbound(connections), ask_deadline)


def _is_page(answer: Answer) -> bool:
    """Whether it is HTML: GoTo's own answer is JSON, or has no body."""
    return answer.body.lstrip()[:1] == b"<"
