"""The issuer: turns codes into tokens and refresh tokens into new ones, and reads tokens back.

It applies `token_rules` to `state` in one locked step each and signs what comes out. No HTTP here.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError

from sandbox.goto import token_rules
from sandbox.goto.state import AccessToken, Code, State
from sandbox.goto.switches import Switches
from sandbox.goto.token_rules import Grant, Refusal

# RS512 is not among joserfc's recommended algorithms; named at each call, it is allowed there.
_ALGORITHMS = ["RS512"]
LEVEL_OF_ASSURANCE = 3

Answer = dict[str, object]


class Malformed(Exception):
    """A token that is no JWT at all."""


@dataclass(frozen=True, slots=True)
class Presented:
    """A genuine token of ours as it stands now; the methods are those Authlib asks of a token."""

    id: str
    kind: Literal["access_token", "refresh_token"]
    claims: dict[str, Any]
    grant: Grant | None
    expired: bool
    revoked: bool

    def check_client(self, client: Any) -> bool:
        return bool(self.claims["aud"] == client.client_id)

    def get_scope(self) -> str:
        return str(self.claims["sc"])

    def is_expired(self) -> bool:
        return self.expired

    def is_revoked(self) -> bool:
        return self.revoked


class Issuer:
    """Issues and reads tokens. `switches` is asked at each call, `clock` gives epoch seconds."""

    def __init__(
        self, state: State, switches: Callable[[], Switches], clock: Callable[[], float]
    ) -> None:
        self._state = state
        self._switches = switches
        self._clock = clock

    def exchange(self, code: Code) -> Answer | Refusal:
        """Open the grant that a code, already taken, stands for; return the token answer."""
        now, switches = self._clock(), self._switches()
        with self._state.changing():
            # A second use may have come between the taking of the code and this moment.
            if self._state.codes[code.digest].replayed:
                return token_rules.REVOKED
            blank = Grant(uuid.uuid4().hex, code.client_id, code.email, code.scope, ())
            grant = token_rules.open_grant(blank, uuid.uuid4().hex, now, switches)
            self._state.put_grant(grant)
            self._state.codes[code.digest] = replace(code, used=True, grant_id=grant.id)
            new = None if "refresh_token" in switches.omit else grant.tokens[0]
            return self._answer(grant, code.scope, new, now, switches)

    def refresh(self, token: Presented, scope: str | None = None) -> Answer | Refusal:
        """Refresh by the rules; `scope`, when given, narrows the access token alone."""
        now, switches = self._clock(), self._switches()
        with self._state.changing():
            grant = self._state.grant_of(token.id)
            if token.kind != "refresh_token" or grant is None:
                return token_rules.REVOKED
            outcome = token_rules.refresh(grant, token.id, now, switches, lambda: uuid.uuid4().hex)
            self._state.put_grant(outcome.grant)
            if outcome.refusal is not None:
                return outcome.refusal
            held = self._held(grant, scope or grant.scope, switches)
            return self._answer(outcome.grant, held, outcome.new, now, switches)

    def look_up(self, value: str) -> Presented | None:
        """Return our token of that value, or None for one we did not sign.

        Raises `Malformed` for what is no JWT.
        """
        try:
            claims = jwt.decode(value, self._state.signing_key(), _ALGORITHMS).claims
        except BadSignatureError:
            return None
        except (JoseError, ValueError) as error:
            raise Malformed from error
        now, token_id = self._clock(), str(claims["jti"])
        if claims["typ"] == "r":
            return self._refresh_token(token_id, claims, now)
        record = self._state.access_tokens.get(token_id)
        grant = None if record is None else self._state.grants[record.grant_id]
        dead = record is None or record.revoked or grant is None or grant.revoked
        if grant is not None:
            claims["sc"] = self._held(grant, str(claims["sc"]), self._switches())
        return Presented(token_id, "access_token", claims, grant, now >= claims["exp"], dead)

    def seconds_left(self, refresh_token: str, now: float) -> float | None:
        """How long a refresh token of ours still lives; None for anything else."""
        try:
            token = self.look_up(refresh_token)
        except Malformed:
            return None
        held = token.grant.token(token.id) if token is not None and token.grant else None
        return None if held is None else held.expires_at - now

    def revoke(self, token: Presented) -> None:
        """Revoke an access token alone, or with a refresh token its whole grant (RFC 7009 2.1)."""
        with self._state.changing():
            if token.kind == "access_token":
                record = self._state.access_tokens.get(token.id)
                if record is not None:
                    self._state.access_tokens[token.id] = replace(record, revoked=True)
                return
            grant = self._state.grant_of(token.id)
            if grant is not None:
                self._state.put_grant(token_rules.revoke(grant))

    def public_keys(self) -> dict[str, object]:
        """Return the key set that verifies our tokens (RFC 7517)."""
        key = self._state.signing_key().as_dict(private=False)
        return {"keys": [{**key, "use": "sig", "alg": _ALGORITHMS[0]}]}

    def _held(self, grant: Grant, scope: str, switches: Switches) -> str:
        """What is left of a grant's scope after boxes of its client were unticked."""
        if switches.boxes_apply == "new_grants":
            return scope
        boxes = self._state.clients[grant.client_id].scope.split()
        return " ".join(one for one in scope.split() if one in boxes)

    def _refresh_token(self, token_id: str, claims: dict[str, Any], now: float) -> Presented:
        grant = self._state.grant_of(token_id)
        token = None if grant is None else grant.token(token_id)
        if grant is None or token is None:
            return Presented(token_id, "refresh_token", claims, grant, False, True)
        revoked = grant.revoked or token.is_retired(now, self._switches().rotation_grace)
        return Presented(token_id, "refresh_token", claims, grant, token.is_expired(now), revoked)

    def _answer(
        self,
        grant: Grant,
        scope: str,
        new: token_rules.RefreshToken | None,
        now: float,
        switches: Switches,
    ) -> Answer:
        lifetime = switches.access_token_lifetime
        access_id = uuid.uuid4().hex
        self._state.add_access_token(AccessToken(access_id, grant.id, now + lifetime), now)
        answer: Answer = {"access_token": self._sign("a", access_id, grant, scope, now, lifetime)}
        if new is not None:
            life = new.expires_at - new.issued_at
            answer["refresh_token"] = self._sign("r", new.id, grant, grant.scope, now, life)
        answer |= {
            "token_type": "Bearer",
            "expires_in": str(lifetime) if switches.expires_in_as_string else lifetime,
            "scope": scope,
            "principal": grant.email,
            "loa": LEVEL_OF_ASSURANCE,
        }
        # A refresh token is left out of the exchange alone: a rotated one withheld would be lost.
        left_out = switches.omit - {"refresh_token"}
        return {name: value for name, value in answer.items() if name not in left_out}

    def _sign(
        self, kind: str, token_id: str, grant: Grant, scope: str, now: float, life: float
    ) -> str:
        key = self._state.signing_key()
        user = self._state.users.get(grant.email)
        claims = {
            "sc": scope,
            "sub": user.key if user is not None else grant.email,
            "aud": grant.client_id,
            "ogn": "pwd",
            "typ": kind,
            "exp": int(now + life),
            "iat": int(now),
            "jti": token_id,
        }
        return jwt.encode({"alg": "RS512", "kid": key.kid}, claims, key, _ALGORITHMS)


def new_code() -> str:
    """Return a fresh authorization code: 256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)
