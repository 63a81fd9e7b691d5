"""F33, S27: a permission that lives and reads nothing is found, told once, and mended."""

from __future__ import annotations

import random
from typing import Any

import pytest

from chalicelib.bootstrap import rep
from chalicelib.durations import DAY
from chalicelib.goto import api
from chalicelib.goto.oauth import Answer
from chalicelib.models import Reason, Status
from chalicelib.notify.email_templates import letters
from chalicelib.permissions import GoToAccount, Usable, missing, writing
from chalicelib.refresh.on_demand import RefreshOutcome
from chalicelib.tokens.probe import Prober
from tests.support.site import PAGE, Site
from tests.support.stubs import ObedientGoTo
from tests.support.world import World

FULL = "identity: cr.v1.read users.v1.read"
ACCOUNT = (GoToAccount("4000000001"),)


def connected(world: World) -> str:
    link = world.add_tenant()
    world.connect(link)
    return link


def usable(world: World) -> Usable:
    connection = world.connections.get("acme")
    assert connection is not None
    assert connection.status is Status.CONNECTED
    return connection.usable


def days(world: World, days: float) -> None:
    """The schedule's minutes, as far as anything is due in them."""
    until = world.clock.now + days * DAY
    while (at := float(world.grant().next_refresh_at or 0)) <= until:
        world.clock.now = max(world.clock.now, at)
        world.tick()
    world.clock.now = until


def lose(world: World, what: str) -> None:
    match what:
        case "role":
            world.goto.usable = Usable.FORBIDDEN
        case "scope at GoTo's API":
            world.goto.usable = Usable.SCOPE_MISSING
        case "account":
            world.goto.listed = (GoToAccount("4000000099"),)
        case "all accounts":
            world.goto.listed = ()
        case "scope in the answer":
            world.goto.scope = "identity: users.v1.read"


LOSSES = {
    "role": Usable.FORBIDDEN,
    "scope at GoTo's API": Usable.SCOPE_MISSING,
    "account": Usable.ACCOUNT_GONE,
    "all accounts": Usable.ACCOUNT_GONE,
    "scope in the answer": Usable.SCOPE_MISSING,
}


def test_f33_a_connection_is_probed_when_it_is_made(world: World) -> None:
    connected(world)
    assert (usable(world), world.goto.reads) == (Usable.YES, ["4000000001"])
    assert world.history()[-1] == "connected"


@pytest.mark.parametrize("what", LOSSES)
def test_f33_what_is_lost_is_found_within_a_day_and_told_once(world: World, what: str) -> None:
    """F33: unaided; the tokens go on, and nobody is told twice."""
    connected(world)
    days(world, 3)
    lose(world, what)
    days(world, 1)
    assert usable(world) is LOSSES[what]
    days(world, 5)
    found = [kind for kind in world.history() if kind in set(map(str, _kinds()))]
    assert len(found) == 1
    [entry] = [each for each in world.journal.newest("acme", 9) if each.kind == found[0]]
    assert set(map(str, letters(entry))) == {"admin", "rep"}
    shown = world.rep("tenant_show", tenant="acme")
    assert (shown["state"], shown["usable"]) == ("connected", str(LOSSES[what]))
    assert "reports are empty" in shown["meaning"] or "left" in shown["meaning"]
    assert shown["next_action"] != "Nothing."


def _kinds() -> tuple[str, ...]:
    return ("scope_missing", "access_forbidden", "account_gone", "usable_again")


@pytest.mark.parametrize("what", [each for each in LOSSES if each != "scope in the answer"])
def test_f33_a_reader_s_403_finds_it_at_once_without_a_refresh(world: World, what: str) -> None:
    """F33: one probe, however many ask."""
    connected(world)
    world.clock.pass_(120)
    lose(world, what)
    asked, reads = len(world.goto.asked), len(world.goto.reads)
    for _ in range(5):
        answer = world.on_demand(tenant="acme", forbidden_version=1)
        assert (answer.outcome, answer.version) == (RefreshOutcome.ALIVE, 1)
    assert usable(world) is LOSSES[what]
    assert len(world.goto.asked) == asked
    assert len(world.goto.reads) - reads <= 1


def test_f33_what_is_mended_is_told(world: World) -> None:
    connected(world)
    lose(world, "role")
    world.clock.pass_(120)
    world.on_demand(tenant="acme", forbidden_version=1)
    world.goto.usable = Usable.YES
    days(world, 1)
    assert usable(world) is Usable.YES
    assert world.history().count("usable_again") == 1


def test_f33_a_single_refusal_of_the_daily_check_changes_nothing(world: World) -> None:
    """F33, F26: GoTo, too, refuses good tokens for minutes."""
    connected(world)
    world.clock.pass_(DAY)
    world.goto.usable = Usable.FORBIDDEN
    world.tick()
    assert usable(world) is Usable.YES
    world.goto.usable = Usable.YES
    days(world, 2)
    assert (usable(world), world.history()[-1]) == (Usable.YES, "connected")


FAULTS = [
    Answer(500, b"<html>"),
    Answer(503, b""),
    Answer(502, b'{"errorCode":"BAD_GATEWAY"}'),
    Answer(429, b'{"errorCode":"TOO_MANY_REQUESTS"}'),
    Answer(403, b"<html>Forbidden by a proxy</html>"),
    Answer(403, b"{}"),
    Answer(401, b'{"errorCode":"AUTHN_INVALID_TOKEN"}'),
    Answer(404, b'{"errorCode":"NOT_FOUND"}'),
    Answer(400, b'{"errorCode":"INVALID_PARAMETER"}'),
    Answer(200, b"<html>"),
    Answer(200, b""),
    Answer(200, b"[]"),
    Answer(200, b'{"items": "none"}'),
    Answer(200, b'{"items": [{"account": 1}]}'),
    None,
]


class FaultyGoTo(ObedientGoTo):
    """Its API meets F08's faults in two of three requests; nobody has lost anything."""

    def __init__(self) -> None:
        super().__init__()
        self.chance = random.Random(33)
        self.met: set[int] = set()
        self.lifetime = 6 * 3_600

    def accounts(self, access_token: str) -> tuple[GoToAccount, ...] | None:
        return api.accounts(fault) if (fault := self._fault(ok=True)) else None

    def read_calls(self, access_token: str, account: str | None) -> Usable:
        return api.usable(fault) if (fault := self._fault(ok=False)) else Usable.UNKNOWN

    def _fault(self, *, ok: bool) -> Answer | None:
        number = self.chance.randrange(len(FAULTS) * 3 // 2)
        if number >= len(FAULTS):
            return Answer(200, b'{"items":[{"accountKey":"4000000001"}]}')
        self.met.add(number)
        fault = FAULTS[number]
        plain = ok or fault is None or fault.status != 200
        return fault if plain else Answer(200, b"<html>")


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_f33_a_year_of_faults_raises_no_false_alarm(world: World) -> None:
    """F33, F08: what is no clear word says nothing."""
    world.goto = goto = FaultyGoTo()
    goto.rotates = True
    connected(world)
    days(world, 365)
    assert len(goto.met) == len(FAULTS)
    assert usable(world) in (Usable.YES, Usable.UNKNOWN)
    assert set(world.history()) & set(_kinds()) == set()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Answer(200, b'{"items":[]}'), Usable.YES),
        (Answer(403, b'{"errorCode":"AUTHZ_INSUFFICIENT_SCOPE"}'), Usable.SCOPE_MISSING),
        (Answer(403, b'{"errorCode":"UNAUTHORIZED"}'), Usable.FORBIDDEN),
        (Answer(409, b'{"errorCode":"USER_SUSPENDED"}'), Usable.FORBIDDEN),
        *((fault, Usable.UNKNOWN) for fault in FAULTS if fault and fault.status != 200),
    ],
)
def test_f33_only_goto_s_clear_word_counts(fault: Answer, expected: Usable) -> None:
    assert api.usable(fault) is expected


class TestScope:
    """S27: asked for what is read, compared with what was granted."""

    def test_s27_what_is_asked_for_writes_nothing(self, world: World) -> None:
        asked = world.start(world.browser(world.add_tenant()))["scope"]
        assert asked == "identity: cr.v1.read users.v1.read users.v1.lines.read"
        assert writing(asked) == ()

    @pytest.mark.parametrize(
        ("granted", "lacking", "box"),
        [
            ("identity: identity:scim.me", ("cr.v1.read", "users.v1.read"), "the box GoToConnect"),
            ("cr.v1.read users.v1.read", ("identity:",), "the box Admin Center"),
            ("x", tuple(FULL.split()), "the boxes Admin Center and GoToConnect"),
        ],
    )
    def test_s27_a_forgotten_box_is_told_at_once_and_mended(
        self, site: Site, granted: str, lacking: tuple[str, ...], box: str
    ) -> None:
        """S27: never "Connected" alone; admin and rep read what to check."""
        world = site.world
        link = world.add_tenant()
        world.goto.scope = granted
        page = site.connect(link).body
        assert "Connected, but a permission is missing" in page
        assert f"check {box} of the client" in page
        assert "there is nothing you need to do" not in page
        shown = world.rep("tenant_show", tenant="acme")
        assert (shown["missing_scopes"], shown["usable"]) == (list(lacking), "scope_missing")
        assert box in shown["next_action"]
        assert shown["scope"] == granted
        assert world.rep("export")["tenants"][0]["missing_scopes"] == list(lacking)
        newest = world.journal.newest("acme", 1)[0]
        assert (newest.kind, set(map(str, letters(newest)))) == ("scope_missing", {"admin", "rep"})
        world.goto.scope = FULL
        again = site.connect(link).body
        assert "a permission is missing" not in again
        assert world.rep("tenant_show", tenant="acme")["usable"] == "yes"

    def test_s27_the_commit_tells_it_before_any_probe(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """S27: in the same transaction, so that no moment says "Connected" alone."""
        world.goto.scope = "identity:"
        monkeypatch.setattr(Prober, "after_connect", lambda *_: None)
        world.connect(world.add_tenant())
        assert world.history()[-1] == "scope_missing"
        connection = world.connections.get("acme")
        assert connection is not None
        assert connection.usable is Usable.SCOPE_MISSING

    def test_s27_goto_refuses_the_scope(self, site: Site) -> None:
        """S27: at authorize; nothing else has changed, and the rep is told."""
        world = site.world
        site.open(world.add_tenant())
        site.get(f"{PAGE}?state={site.press()['state']}&error=invalid_scope")
        assert "Admin Center and GoToConnect" in site.get(PAGE).body
        entry = world.journal.newest("acme", 1)[0]
        assert entry.kind == "authorization_scope_refused"
        assert set(map(str, letters(entry))) == {"rep"}
        assert world.requests is not None
        assert Reason.SCOPE_REFUSED in Reason

    def test_s27_doctor_names_scopes_that_write(self, world: World) -> None:
        world.goto.scope = f"{FULL} messaging.v1.send call-history.v1.notifications.manage"
        connected(world)
        [told] = [part.look() for part in _parts(world) if part.name == "scopes"]
        assert told == "Tokens may write: acme (messaging.v1.send)."
        world.goto.scope = FULL
        world.pass_until_due()
        world.tick()
        assert [part.look() for part in _parts(world) if part.name == "scopes"] == [None]

    def test_s27_a_grant_whose_scope_goto_does_not_name_is_what_was_asked_for(self) -> None:
        """S27: RFC 6749 5.1."""
        assert missing(FULL.split(), None) == ()


def _parts(world: World) -> Any:
    return rep._parts(world.deployment, world.onboarding)
