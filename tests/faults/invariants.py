"""What must hold after every step, whatever the adversary did (`SAFETY.md`, invariants 1 to 7)."""

from collections.abc import Iterator, Sequence
from typing import Any

from tests.faults.adversary import TENANTS, Adversary

_COUNTERS = ("generation", "version", "fence", "sequence")


class Invariants:
    """Remembers what it saw before, for what may only grow."""

    def __init__(self, adversary: Adversary, tenants: Sequence[str] = TENANTS) -> None:
        self._adversary = adversary
        self._tenants = tenants
        self._seen: dict[tuple[str, str], int] = {}
        self._tokens: dict[str, tuple[str, int]] = {}
        self._refresh_tokens: dict[str, str] = {}

    def broken(self) -> list[str]:
        """Every invariant that does not hold just now, in words."""
        return [words for tenant in self._tenants for words in self._of(tenant)] + [
            f"1: asked twice at once: {words}" for words in self._adversary.double_claims
        ]

    def _of(self, tenant: str) -> Iterator[str]:
        grant = self._adversary.row("grants", tenant)
        tokens = self._adversary.row("tokens", tenant)
        yield from self._claims(tenant)
        yield from self._newest(tenant, grant)
        yield from self._forward(tenant, grant)
        yield from self._growing(tenant, grant, tokens)
        yield from self._own(tenant, grant, tokens)
        yield from self._told(tenant, grant, tokens)
        yield from self._pinned(tenant, tokens)
        yield from self._ended(tenant, grant)

    def _claims(self, tenant: str) -> Iterator[str]:
        for worker in self._adversary.workers.values():
            claimed = worker.claimed
            if worker.asked > 2:
                yield f"1: {worker.name} asked {worker.asked} times"
            if claimed is None or worker.tenant != tenant:
                continue
            stood = worker.stood_at_claim
            if stood != (claimed.generation, claimed.version):
                yield f"1: {worker.name} claimed {stood} and works with what it read before"

    def _newest(self, tenant: str, grant: dict[str, Any]) -> Iterator[str]:
        """2: the stored refresh token works, or its successor is on the way, or is known lost."""
        goto, stored = self._adversary.goto, grant.get("refresh_token")
        if stored is None or grant["status"] == "disconnected":
            return  # given up, and revoked or about to be
        if goto.usable(stored) or tenant in self._adversary.lost:
            return
        if goto.expired(stored) or self._adversary.successors(stored):
            return
        yield f"2: {stored} of {tenant} is not what GoTo accepts, and nobody holds its successor"

    def _forward(self, tenant: str, grant: dict[str, Any]) -> Iterator[str]:
        """2: what GoTo issued later is never replaced by what it issued earlier to the same."""
        goto, now = self._adversary.goto, grant.get("refresh_token")
        if now is None:
            return
        before = self._refresh_tokens.get(tenant, now)
        older = goto.issued.index(now) < goto.issued.index(before)
        if older and goto.family(now) == goto.family(before):
            yield f"2: {now} of {tenant} over {before}, which is newer"
        self._refresh_tokens[tenant] = now

    def _growing(self, tenant: str, grant: dict[str, Any], tokens: dict[str, Any]) -> Iterator[str]:
        """3: counters only grow, and a version names one access token for ever."""
        for name in _COUNTERS:
            before, now = self._seen.get((tenant, name), 0), grant[name]
            if now < before:
                yield f"3: {name} of {tenant} went from {before} to {now}"
            self._seen[tenant, name] = now
        token, version = tokens.get("access_token", ""), tokens["version"]
        before_token, before_version = self._tokens.get(tenant, (token, version))
        if token != before_token and version <= before_version:
            yield f"3: another access token of {tenant} under version {version}"
        self._tokens[tenant] = (token, version)

    def _own(self, tenant: str, grant: dict[str, Any], tokens: dict[str, Any]) -> Iterator[str]:
        """4 and 5: nothing of another tenant, and a token with its own expiry."""
        goto = self._adversary.goto
        for token in (grant.get("refresh_token"), tokens.get("access_token")):
            if token is not None and goto.owners[token] != tenant:
                yield f"4: {token} in the row of {tenant}"
        if "access_token" not in tokens:
            return
        life = tokens["expires_at"] - tokens["issued_at"]
        if life != goto.lives[tokens["access_token"]]:
            yield f"5: {tokens['access_token']} with a life of {life} s"

    def _told(self, tenant: str, grant: dict[str, Any], tokens: dict[str, Any]) -> Iterator[str]:
        """6: the journal's last word on the state is the state, in both tables."""
        told = self._adversary.last_status(tenant)
        if not told == grant["status"] == tokens["status"]:
            yield f"6: {tenant}: told {told}, {grant['status']} and {tokens['status']}"

    def _pinned(self, tenant: str, tokens: dict[str, Any]) -> Iterator[str]:
        """7: the account beside the tokens is the tenant's pin, as far as either is known."""
        pin = self._adversary.row("tenants", tenant).get("pinned_account")
        account = tokens.get("account_key", pin)
        if account != pin:
            yield f"7: the connection of {tenant} is of account {account}, its pin is {pin}"

    def _ended(self, tenant: str, grant: dict[str, Any]) -> Iterator[str]:
        """A crash alone never ends a grant: not while GoTo would take a token that is at hand."""
        if grant["status"] != "reauthorization_required":
            return
        stored = grant.get("refresh_token")
        if stored is None:
            return
        at_hand = {stored, *self._adversary.successors(stored)}
        alive = [token for token in at_hand if self._adversary.goto.usable(token)]
        if alive:
            yield f"10: {tenant} must reconnect though {alive} would do"
