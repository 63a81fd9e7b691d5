"""The grants and endpoints in Authlib's form: codes with PKCE, refresh, revocation, introspection.

Each hook hands the question on to the issuer or the state, and says why where Authlib's own
answer would not do. Authlib is untyped, hence the ignores on its imports and base classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from authlib.oauth2 import OAuth2Error  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped]
    InvalidGrantError,
    InvalidRequestError,
    grants,
)
from authlib.oauth2.rfc7009 import RevocationEndpoint  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import CodeChallenge  # type: ignore[import-untyped]
from authlib.oauth2.rfc7662 import IntrospectionEndpoint  # type: ignore[import-untyped]

from sandbox.goto.issuer import Answer, Issuer, Malformed, Presented, new_code
from sandbox.goto.state import Code, User, digest
from sandbox.goto.switches import Switches
from sandbox.goto.token_rules import CODE_LIFETIME, Refusal

CLIENT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


class S256(CodeChallenge):  # type: ignore[misc]  # Authlib is untyped
    """PKCE (RFC 7636) with S256 alone. Authlib takes `plain`, and for a missing method too."""

    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar[list[str]] = ["S256"]
    DEFAULT_CODE_CHALLENGE_METHOD = "S256"

    def __init__(self, switches: Callable[[], Switches]) -> None:
        super().__init__(required=False)
        self._switches = switches

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        sent = grant.request.payload.data
        if self._switches().require_pkce and not sent.get("code_challenge"):
            raise InvalidRequestError("Missing 'code_challenge'")
        if sent.get("code_challenge") and sent.get("code_challenge_method") != "S256":
            raise InvalidRequestError("Unsupported 'code_challenge_method'")
        super().validate_code_challenge(grant, redirect_uri)

    def get_authorization_code_challenge(self, authorization_code: Any) -> str | None:
        return _taken(authorization_code).code_challenge

    def get_authorization_code_challenge_method(self, authorization_code: Any) -> str:
        return "S256"


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]  # untyped
    """The code grant: exact redirect URIs, codes that any use spends."""

    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTH_METHODS

    @classmethod
    def check_authorization_endpoint(cls, request: Any) -> bool:
        return True  # a wrong response type is told below, to a redirect URI already checked

    @staticmethod
    def validate_authorization_redirect_uri(request: Any, client: Any) -> str:
        uri = request.payload.redirect_uri
        if not uri or not client.check_redirect_uri(uri):
            # Never quote it: Authlib refuses, with a crash, descriptions of unusual characters.
            raise InvalidRequestError("The redirect URI is not one registered for this client.")
        return str(uri)

    def validate_authorization_request(self) -> Any:
        redirect_uri = super().validate_authorization_request()
        if self.request.payload.response_type != "code":
            raise OAuth2Error(error="unsupported_response_type", redirect_uri=redirect_uri)
        return redirect_uri

    def create_authorization_response(self, redirect_uri: str, grant_user: User | None) -> Any:
        if grant_user is None:
            switches = self.server.switches()
            error = switches.authorize_error or switches.deny_error
            raise OAuth2Error(error=error, redirect_uri=redirect_uri)
        return super().create_authorization_response(redirect_uri, grant_user)

    def generate_authorization_code(self) -> str:
        return new_code()

    def save_authorization_code(self, code: str, request: Any) -> None:
        now = self.server.clock()
        record = Code(
            digest=digest(code),
            client_id=request.client.client_id,
            email=request.user.email,
            redirect_uri=request.payload.redirect_uri,
            scope=request.scope,
            expires_at=now + CODE_LIFETIME,
            code_challenge=request.payload.data.get("code_challenge") or None,
        )
        self.server.state.add_code(record, now)

    def query_authorization_code(self, code: str, client: Any) -> _TakenCode | None:
        taken = self.server.state.take_code(code, client.client_id, self.server.clock())
        return None if taken is None else _TakenCode(taken)

    def authenticate_user(self, authorization_code: Any) -> User | None:
        user: User | None = self.server.state.users.get(_taken(authorization_code).email)
        return user

    def generate_token(self, **_: object) -> Answer:
        taken = _taken(self.request.authorization_code)
        return _answered(self.server.issuer.exchange(taken))

    def save_token(self, token: Answer) -> None:
        """Nothing to do: the issuer stored it in the step that made it."""

    def delete_authorization_code(self, authorization_code: Any) -> None:
        """Nothing to do: taking the code spent it."""


class RefreshTokenGrant(grants.RefreshTokenGrant):  # type: ignore[misc]  # Authlib is untyped
    """The refresh grant: whether it brings a new refresh token is for the rules to say."""

    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTH_METHODS

    def authenticate_refresh_token(self, refresh_token: str) -> Presented:
        token = _issued_by(self.server.issuer, refresh_token)
        if token is None or token.kind != "refresh_token" or token.grant is None:
            raise InvalidGrantError("refresh.token.revoked")
        return token

    def authenticate_user(self, refresh_token: Presented) -> User | None:
        if refresh_token.grant is None:
            return None
        user: User | None = self.server.state.users.get(refresh_token.grant.email)
        return user

    def issue_token(self, user: User, refresh_token: Presented) -> Answer:
        scope = self.request.payload.scope
        return _answered(self.server.issuer.refresh(refresh_token, scope))

    def save_token(self, token: Answer) -> None:
        """Nothing to do: the issuer stored it in the step that made it."""

    def revoke_old_credential(self, refresh_token: Presented) -> None:
        """Nothing to do: the rules retired it in the step that replaced it."""


class Revocation(RevocationEndpoint):  # type: ignore[misc]  # Authlib is untyped
    """RFC 7009. A token we never issued answers 200 as well."""

    CLIENT_AUTH_METHODS = CLIENT_AUTH_METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> Presented | None:
        return _issued_by(self.server.issuer, token_string)

    def revoke_token(self, token: Presented, request: Any) -> None:
        self.server.issuer.revoke(token)


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]  # Authlib is untyped
    """RFC 7662. A client may look at its own tokens alone."""

    CLIENT_AUTH_METHODS = CLIENT_AUTH_METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> Presented | None:
        return _issued_by(self.server.issuer, token_string)

    def check_permission(self, token: Presented, client: Any, request: Any) -> bool:
        return token.check_client(client)

    def introspect_token(self, token: Presented) -> dict[str, object]:
        claims = token.claims
        return {
            "active": True,
            "client_id": claims["aud"],
            "username": token.grant.email if token.grant is not None else None,
            "scope": claims["sc"],
            "token_type": "Bearer" if token.kind == "access_token" else "refresh_token",
            **{name: claims[name] for name in ("sub", "aud", "exp", "iat", "jti")},
        }


def _issued_by(issuer: Issuer, value: str) -> Presented | None:
    """Return the token of ours with that value, or None for anything else."""
    try:
        return issuer.look_up(value)
    except Malformed:
        return None


class _TakenCode:
    """A code with the methods that Authlib asks of one."""

    def __init__(self, code: Code) -> None:
        self.code = code

    def get_redirect_uri(self) -> str:
        return self.code.redirect_uri

    def get_scope(self) -> str:
        return self.code.scope


def _taken(authorization_code: _TakenCode) -> Code:
    return authorization_code.code


def _answered(result: Answer | Refusal) -> Answer:
    if isinstance(result, Refusal):
        raise OAuth2Error(error=result.error, description=result.description or None)
    return result
