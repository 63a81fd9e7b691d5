"""Why there is no token, and whose turn it is.

TokenError
+-- NotConnected              the rep: nobody has connected this tenant, or it was disconnected
+-- ReauthorizationRequired   the admin: connect again; or the rep: enter the client's secret again
+-- Refreshing                nobody: another worker is refreshing, ask again in a moment
+-- Unavailable               nobody, or the operator if it lasts: AWS or GoTo did not answer
"""


class TokenError(Exception):
    """Base of all reasons why there is no token. No message contains a token or a secret.

    ``whose_turn`` is ``admin``, ``rep``, ``operator`` or ``nobody``; ``retry_after`` is in seconds,
    or None if asking again is useless until a person has acted.
    """

    whose_turn = "nobody"

    def __init__(
        self,
        tenant: str,
        happened: str,
        what_to_do: str,
        *,
        whose_turn: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(tenant, happened, what_to_do)
        self.tenant = tenant
        self.happened = happened
        self.what_to_do = what_to_do
        self.retry_after = retry_after
        if whose_turn is not None:
            self.whose_turn = whose_turn

    def __str__(self) -> str:
        return f"{self.tenant}: {self.happened} {self.what_to_do}"


class NotConnected(TokenError):
    """There is no connection: the rep sends the tenant's admin a link."""

    whose_turn = "rep"


class ReauthorizationRequired(TokenError):
    """GoTo has refused the grant or the client; only a person can fix that."""

    whose_turn = "admin"


class Refreshing(TokenError):
    """A new token is on its way; ask again in ``retry_after`` seconds."""


class Unavailable(TokenError):
    """No token is available at the moment, although GoTo has refused nothing."""
