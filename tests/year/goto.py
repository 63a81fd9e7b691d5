"""GoTo in process: its rules for grants, several accounts a person, its report of calls, its bad
days. What it decides comes from the sandbox's rules; nothing here decides what the product decides.
"""

import json
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from chalicelib.errors import ProviderUnreachable
from chalicelib.goto.oauth import Answer
from chalicelib.models import ClientCredentials, Revocation
from chalicelib.permissions import SCOPE_READ, GoToAccount, Usable
from sandbox.goto import token_rules
from sandbox.goto.switches import Switches
from tests.year.calls import Calls
from tests.year.troubles import Trouble

KEPT = 12
"""Refresh and access tokens of a grant that GoTo remembers: older ones are unknown to it."""

LIFETIME = 3_600
"""Seconds that an access token lives."""

CRASHES, BROKEN, TIMEOUTS, REFUSED_WRITES = 1e-4, 2e-3, 1e-4, 1e-3
"""Shares of all refreshes: the process dies; GoTo answers 5xx; the answer does not come, half of
them after GoTo had acted; DynamoDB refuses the commit some times."""

PROXIED = 0.02
"""The share of revocations that never come to GoTo."""

SLOW_TIMEOUTS = 5e-3
"""The share of timeouts on a slow day."""

Behavior = Literal["late", "always", "never", "echo"]

BEHAVIORS: dict[Behavior, Switches] = {
    "late": Switches(rotation="late"),
    "always": Switches(rotation="always"),
    "never": Switches(rotation="never"),
    "echo": Switches(rotation="never", echo_refresh_token=True),
}
"""Rotation, as GoTo may do it: nobody knows which. Each is a quarter of the customers'."""


class Killed(BaseException):
    """The process ends here: nothing can catch it but the loop that starts the next one."""


@dataclass
class Person:
    """Somebody who can log in to GoTo. ``administers``: the accounts whose calls they may read."""

    email: str
    accounts: tuple[GoToAccount, ...]
    administers: bool = True
    left: bool = False


@dataclass
class Held:
    """A grant with what became of it. ``told``: when its last access token was issued, and for how
    long, in seconds."""

    grant: token_rules.Grant
    person: Person
    behavior: Behavior
    access: deque[str] = field(default_factory=deque)
    told: tuple[float, int] | None = None


class GoTo:
    """``lifetime`` gives the seconds that a client's access token lives, were it issued now;
    ``troubles`` what goes wrong now. ``lost`` hears of a client whose only valid refresh token has
    just gone, and how; ``refused`` of one whose secret is not the newest. ``refuse_writes`` has
    DynamoDB refuse so many writes, ``die_after_write`` has the process end after its next one."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        dice: random.Random,
        calls: Calls,
        lifetime: Callable[[str], int],
        troubles: Callable[[], frozenset[Trouble]],
        lost: Callable[[str, str], None],
        refused: Callable[[str], None],
        refuse_writes: Callable[[int], None],
        die_after_write: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._dice = dice
        self._calls = calls
        self._lifetime = lifetime
        self._troubles = troubles
        self._lost = lost
        self._refused = refused
        self._refuse_writes = refuse_writes
        self._die_after_write = die_after_write
        self._issued = 0
        self._by_refresh: dict[str, Held] = {}
        self._by_access: dict[str, tuple[Held, float]] = {}
        self.people: dict[str, Person] = {}
        self.secrets: dict[str, str] = {}
        self.behaviors: dict[str, Behavior] = {}
        self.counts: Counter[str] = Counter()
        self.lives_needed = 0.0
        self.dies = False
        self.calm = False

    def token(self, client: ClientCredentials, form: dict[str, str]) -> Answer:
        """The token endpoint."""
        self.counts["requests"] += 1
        troubles = self._troubles()
        if Trouble.DOWN in troubles:
            raise ProviderUnreachable("no connection", sent=False)
        if Trouble.GRANTS_REFUSED in troubles:
            return _refused("invalid_grant")
        if Trouble.CLIENTS_REFUSED in troubles:
            return _refused("invalid_client", 401)
        if client.client_secret != self.secrets[client.client_id]:
            self._refused(client.client_id)
            return _refused("invalid_client", 401)
        if form["grant_type"] == "authorization_code":
            return self._opened(client.client_id, self.people[form["code"]])
        held = self._by_refresh.get(form["refresh_token"])
        if held is None:
            return _refused("invalid_grant")
        return self._on_its_way(held, form["refresh_token"], troubles)

    def revoke(self, client: ClientCredentials, token: str) -> Revocation:
        """The revocation endpoint. A proxy before it answers one in fifty itself."""
        if Trouble.DOWN in self._troubles() or self._dice.random() < PROXIED:
            return Revocation.LATER
        held = self._by_refresh.get(token)
        if held is not None:
            held.grant = token_rules.revoke(held.grant)
        return Revocation.DONE

    def accounts(self, access_token: str) -> tuple[GoToAccount, ...] | None:
        """The accounts of the person whose token it is."""
        if Trouble.DOWN in self._troubles():
            return None
        held = self._alive(access_token)
        return None if held is None or held.person.left else held.person.accounts

    def read_calls(self, access_token: str, account: str | None) -> Usable:
        """Whether the token reads an account's calls."""
        if Trouble.DOWN in self._troubles():
            return Usable.UNKNOWN
        held = self._alive(access_token)
        if held is None:
            return Usable.UNKNOWN
        return Usable.YES if _may_read(held.person, account) else Usable.FORBIDDEN

    def report(self, access_token: str, query: dict[str, str]) -> tuple[int, Any]:
        """The report of calls; status and body."""
        if Trouble.DOWN in self._troubles():
            return 503, {}
        held = self._alive(access_token)
        if held is None:
            return 401, {}
        if not _may_read(held.person, query["accountKey"]):
            return 403, {"errorCode": "AUTHZ_INSUFFICIENT_ROLE"}
        return 200, self._calls.page(query, self._clock())

    def withdraw(self, client_id: str) -> None:
        """Somebody revokes all that this client was ever allowed."""
        for held in {id(held): held for held in self._by_refresh.values()}.values():
            if held.grant.client_id == client_id:
                held.grant = token_rules.revoke(held.grant)

    def _alive(self, access_token: str) -> Held | None:
        held, until = self._by_access.get(access_token, (None, 0.0))
        return held if held and not held.grant.revoked and self._clock() < until else None

    def _opened(self, client_id: str, person: Person) -> Answer:
        behavior = self.behaviors[client_id]
        grant = token_rules.Grant(self._new("grant"), client_id, person.email, SCOPE_READ, ())
        grant = token_rules.open_grant(
            grant, self._new("refresh"), self._clock(), BEHAVIORS[behavior]
        )
        held = Held(grant, person, behavior)
        return self._tokens(held, grant.tokens[-1].id)

    def _on_its_way(self, held: Held, token: str, troubles: frozenset[Trouble]) -> Answer:
        """What happens to a refresh request between here and there."""
        if self.calm:
            return self._refreshed(held, token)
        if self.dies:
            self.dies = False
            self._die(held, token)
        dice = self._dice.random() * LIFETIME / self._lifetime(held.grant.client_id)
        timeouts = SLOW_TIMEOUTS if Trouble.SLOW in troubles else TIMEOUTS
        # Who asks less often meets as much in a day.
        if dice < CRASHES:
            self._die(held, token)
        elif dice < CRASHES + BROKEN:
            self.counts["answered 5xx"] += 1
            return Answer(self._dice.choice((500, 502, 503, 504)), b"<html>")
        elif dice < CRASHES + BROKEN + timeouts:
            self.counts["answers that did not come"] += 1
            if self._dice.random() < 0.5:
                self._gone(held, token, "lost on the wire")
            raise ProviderUnreachable("no answer in time", sent=True)
        elif dice < CRASHES + BROKEN + timeouts + REFUSED_WRITES:
            self.counts["commits refused at first"] += 1
            self._refuse_writes(self._dice.choice((1, 1, 2, 3, 6, 9)))
        return self._refreshed(held, token, odd=Trouble.ODD in troubles)

    def _die(self, held: Held, token: str) -> None:
        self.counts["processes killed"] += 1
        step = self._dice.choice(("claimed", "answered", "written"))
        if step == "written":
            self._die_after_write()
            return
        if step == "answered":
            self._gone(held, token, "lost with a process")
        raise Killed

    def _gone(self, held: Held, token: str, how: str) -> None:
        """GoTo acts, and nobody hears of it."""
        before = held.grant.tokens[-1].id
        self._refreshed(held, token)
        if held.grant.tokens[-1].id != before:
            self.counts[f"new tokens {how}"] += 1
            self._lost(held.grant.client_id, how)

    def _refreshed(self, held: Held, token: str, *, odd: bool = False) -> Answer:
        switches = BEHAVIORS[held.behavior]
        now = self._clock()
        outcome = token_rules.refresh(
            held.grant, token, now, switches, lambda: self._new("refresh")
        )
        held.grant = outcome.grant
        if outcome.refusal is not None:
            return _refused(outcome.refusal.error)
        if outcome.new is not None:
            for old in held.grant.tokens[:-KEPT]:
                self._by_refresh.pop(old.id, None)
            held.grant = replace(held.grant, tokens=held.grant.tokens[-KEPT:])
        told = outcome.new.id if outcome.new else token if switches.echo_refresh_token else None
        return self._tokens(held, told, odd=odd)

    def _tokens(self, held: Held, refresh_token: str | None, *, odd: bool = False) -> Answer:
        access, now = self._new("access"), self._clock()
        if held.told is not None:
            self.lives_needed += (now - held.told[0]) / held.told[1]
        lifetime = self._lifetime(held.grant.client_id)
        held.told = now, lifetime
        self._by_access[access] = held, now + lifetime
        held.access.append(access)
        if len(held.access) > KEPT:
            del self._by_access[held.access.popleft()]
        body: dict[str, Any] = {"access_token": access, "expires_in": lifetime, "scope": SCOPE_READ}
        if refresh_token:
            self._by_refresh[refresh_token] = held
            body["refresh_token"] = refresh_token
        if not odd:
            return Answer(200, json.dumps(body).encode())
        self.counts["answers of another form"] += 1
        body["access_token"] = f"\r\n {access}\t"
        body["principal"] = "J\u00f6rg"
        text = json.dumps(body, ensure_ascii=False).encode("latin-1")
        return Answer(self._dice.choice((200, 201, 203)), text)

    def _new(self, kind: str) -> str:
        self._issued += 1
        return f"{kind}-{self._issued}"


def _may_read(person: Person, account: str | None) -> bool:
    mine = any(account == each.key for each in person.accounts)
    return mine and person.administers and not person.left


def _refused(error: str, status: int = 400) -> Answer:
    return Answer(status, json.dumps({"error": error}).encode())
