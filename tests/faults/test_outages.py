"""GoTo down, ourselves down, a service of AWS down, one tenant slow: what the fleet makes of it."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from chalicelib.bootstrap.deployment import Run, pooled
from chalicelib.durations import LEASE_MARGIN, TICK_WORKS_FOR
from chalicelib.dynamodb.provider_health import Provider
from chalicelib.errors import DependencyUnavailable, ProviderUnreachable
from chalicelib.goto.oauth import Answer
from chalicelib.models import LANES, PROVIDER, ClientCredentials, Due, Status, lane
from chalicelib.refresh import scheduler
from chalicelib.refresh.circuit_breaker import Change
from chalicelib.refresh.outcomes import Outcome
from chalicelib.refresh.scheduler import PROBES, HandOver, Schedule
from tests.support.world import World

ON_THREADS = pytest.mark.parametrize("world", ["dynamodb-local", "memory"], indirect=True)
"""Not on moto, which no two threads may use at once."""

IN_MEMORY = pytest.mark.parametrize("world", ["memory"], indirect=True)
"""For fleets that take minutes elsewhere."""

NOT_THERE = ProviderUnreachable("no connection", sent=False)


def fleet(world: World, size: int) -> list[str]:
    """That many connected tenants, a second apart."""
    names = [f"tenant-{number}" for number in range(size)]
    for name in names:
        world.connect(world.add_tenant(name))
        world.clock.pass_(1)
    return names


def hand_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a function could do next to nothing."""
    monkeypatch.setattr(scheduler, "TICK_CARRIES", 0.0)
    monkeypatch.setattr(scheduler, "LANE_CARRIES", 0.5)


def refresh_requests(world: World) -> int:
    return sum(form["grant_type"] == "refresh_token" for form in world.goto.asked)


class Down:
    """Switches GoTo off and on; ``asked`` counts what it would have been asked meanwhile."""

    def __init__(self, world: World) -> None:
        self.asked = 0
        self.now = True
        up = world.goto.token

        def token(client: ClientCredentials, form: dict[str, str]) -> Answer:
            if not self.now:
                return up(client, form)
            self.asked += 1
            raise NOT_THERE

        world.goto.answer_by(token)


@IN_MEMORY
def test_f12_a_provider_that_is_down_is_told_once_and_probed_by_a_few(world: World) -> None:
    """F12: six hours down, a fleet of 40."""
    names = fleet(world, 40)
    world.clock.now = max(world.due(name).at for name in names)
    down = Down(world)
    asked_in = []
    for _ in range(6 * 60):
        before = down.asked
        world.tick()
        asked_in.append(down.asked - before)
        world.clock.pass_(60)
    assert asked_in[0] == 40
    assert max(asked_in[5:]) <= PROBES
    assert sum(asked_in[5:]) >= 30, "it is looked for all the time"
    assert world.history(PROVIDER) == [Change.DOWN]
    assert {world.grant(name).status for name in names} <= {Status.CONNECTED, Status.DEGRADED}
    assert max(world.history(name).count("degraded") for name in names) == 1

    down.now = False
    begun = refresh_requests(world)
    for _ in range(10):
        world.tick()
        world.clock.pass_(60)
    assert world.history(PROVIDER) == [Change.DOWN, Change.UP]
    assert {world.grant(name).status for name in names} == {Status.CONNECTED}
    assert refresh_requests(world) - begun == 40, "each is asked for once, none twice"


@IN_MEMORY
def test_f12_a_few_failing_tenants_are_not_the_provider(world: World) -> None:
    names = fleet(world, 20)
    world.clock.now = max(world.due(name).at for name in names)
    world.goto.script = [NOT_THERE] * 9
    for _ in range(5):
        world.tick()
        world.clock.pass_(60)
    assert world.history(PROVIDER) == []


def test_f13_what_fell_due_first_is_refreshed_first(world: World) -> None:
    """F13: after a day in which we were away ourselves."""
    names = fleet(world, 2 * LANES)
    due = {f"id-{name}": world.due(name).at for name in names}
    world.clock.pass_(86_400)
    connected = len(world.goto.clients)
    assert world.tick() == {Outcome.REFRESHED: len(names)}
    asked = [due[client.client_id] for client in world.goto.clients[connected:]]
    assert asked == sorted(due.values())


@IN_MEMORY
def test_f13_more_than_fits_is_handed_over_with_the_rate_shared_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F13: all lanes together never ask faster than the deployment may."""
    names = fleet(world, 3 * LANES)
    world.clock.pass_(86_400)
    hand_over_all(monkeypatch)
    assert world.tick() == {"lanes": len(world.handed)}
    lanes, rates, _ = zip(*world.handed, strict=True)
    assert {each for some in lanes for each in some} == {lane(name) for name in names}
    assert len(lanes) < len({lane(name) for name in names}), "no more functions than the rate needs"
    assert sum(rates) == pytest.approx(world.settings.token_rate)
    counts: Counter[str] = Counter()
    for some, rate, _ in world.handed:
        counts += world.schedule().lanes(some, rate).outcomes
    assert counts == {Outcome.REFRESHED: len(names)}


@IN_MEMORY
def test_f13_lanes_that_share_the_rate_take_turns(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F13: nor in any one second, though all of them begin at once."""
    fleet(world, 3 * LANES)
    world.clock.pass_(86_400)
    hand_over_all(monkeypatch)
    world.tick()
    slots = sorted(
        wait + turn / rate for _, rate, wait in world.handed for turn in range(int(50 * rate))
    )
    cap = world.settings.token_rate
    assert len(slots) > 20 * cap
    assert all(later - first >= 0.999 for first, later in zip(slots, slots[cap:], strict=False))


@IN_MEMORY
def test_f13_a_lane_that_cannot_be_handed_over_stays_due(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = {lane(name) for name in fleet(world, 3 * LANES)}
    world.clock.pass_(86_400)
    hand_over_all(monkeypatch)

    def refuse(lanes: Sequence[int], rate: float, wait: float) -> None:
        raise DependencyUnavailable("lambda", "TooManyRequestsException")

    replace(world.schedule(), hand_over=refuse).tick()
    assert world.reported
    world.tick()
    assert {number for some, *_ in world.handed for number in some} == lanes


@IN_MEMORY
def test_f13_after_429_the_next_minute_is_half_as_fast(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F13, F08: and the old pace comes back step by step."""
    fleet(world, 3 * LANES)
    world.clock.pass_(86_400)
    world.goto.script = [Answer(429, b"")]
    world.tick()
    hand_over_all(monkeypatch)
    rates = []
    for _ in range(8):
        world.clock.pass_(86_400)
        world.handed.clear()
        world.tick()
        rates.append(round(sum(rate for _, rate, _ in world.handed), 3))
    cap = world.settings.token_rate
    assert rates == [cap * share for share in (0.5, 0.6, 0.7, 0.8, 0.9, 1, 1, 1)]


@IN_MEMORY
def test_f14_a_dripping_tenant_holds_up_none_of_999_others(world: World) -> None:
    """F14: they are done in the same tick, while the one is still being waited for."""
    fleet(world, 1_000)
    world.clock.now = max(world.due(f"tenant-{number}").at for number in range(1_000))
    waits, drips = threading.Event(), "id-tenant-500"
    quick, slow = world.goto.token, threading.Lock()

    def token(client: ClientCredentials, form: dict[str, str]) -> Answer:
        if client.client_id == drips:
            assert waits.wait(60)
        with slow:
            return quick(client, form)

    world.goto.answer_by(token)
    threads: list[threading.Thread] = []

    def hand_over(lanes: Sequence[int], rate: float, wait: float) -> None:
        """As Lambda does: another function, at the same time."""
        work = threading.Thread(target=on(world, pooled(4)).lanes, args=(lanes, rate))
        threads.append(work)
        work.start()

    assert on(world, pooled(4), hand_over).tick().outcomes["lanes"] > 0
    try:
        deadline = threading.Event()
        for _ in range(300):
            if refresh_requests(world) == 999:
                break
            deadline.wait(0.1)
        assert refresh_requests(world) == 999
        assert any(thread.is_alive() for thread in threads)
    finally:
        waits.set()
        for thread in threads:
            thread.join()
    assert refresh_requests(world) == 1_000
    assert world.reported == []


def on(world: World, run: Run, hand_over: HandOver | None = None) -> Schedule:
    """The world's schedule, with threads."""
    return Schedule(
        connections=world.connections,
        provider=world.provider,
        fleet=world.fleet,
        rescue_queue=world.rescue_queue,
        refresher_for=lambda rate, seconds, wait: world.refresher(),
        run=run,
        hand_over=hand_over or (lambda lanes, rate, wait: None),
        cap=world.settings.token_rate * 10,
        dead_after=2_400.0,
        clock=world.clock,
        report=world.reported.append,
    )


@pytest.mark.parametrize("service", ["secretsmanager", "kms"])
def test_f16_without_secrets_nothing_is_asked_and_nothing_lost(
    world: World, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    """F16: our own trouble is not held against GoTo, nor against the tenant."""
    world.connect(world.add_tenant())
    world.pass_until_due()

    def refuse(*arguments: object) -> ClientCredentials:
        raise DependencyUnavailable(service, "InternalServiceError")

    with monkeypatch.context() as broken:
        broken.setattr(world.secret_store, "credentials", refuse)
        assert world.tick() == {Outcome.INTERNAL: 1}
    grant = world.grant()
    assert (grant.status, grant.refresh_token) == (Status.CONNECTED, "refresh-1")
    assert grant.outcome_unknown_since is None
    assert refresh_requests(world) == 0
    assert world.provider.get().failed == 0
    world.pass_until_due()
    assert world.tick() == {Outcome.REFRESHED: 1}


def test_f16_the_decision_on_the_provider_can_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F16: the `#provider` row can't be read, and tenants are refreshed all the same."""
    world.connect(world.add_tenant())
    world.pass_until_due()

    def refuse() -> Provider:
        raise DependencyUnavailable("dynamodb", "ThrottlingException")

    monkeypatch.setattr(world.provider, "get", refuse)
    assert world.tick() == {Outcome.REFRESHED: 1}
    assert len(world.reported) == 1


def test_f17_a_tick_that_comes_twice_or_late_changes_nothing(world: World) -> None:
    """F17: what is due is in the table, not in the event."""
    world.connect(world.add_tenant())
    world.pass_until_due()
    assert world.tick() == {Outcome.REFRESHED: 1}
    assert world.tick() == {}
    after = world.everything()
    assert world.tick() == {}
    assert world.everything() == after
    world.clock.pass_(TICK_WORKS_FOR)
    assert world.tick() == {}
    assert refresh_requests(world) == 1


class Ended(BaseException):
    """Lambda ends the process."""


def test_f18_what_a_tick_left_undone_the_next_ones_do(world: World) -> None:
    """F18: a deployment, or anything else, ends the function between two tenants."""
    names = fleet(world, 5)
    world.clock.now = max(world.due(name).at for name in names)

    def end() -> None:
        raise Ended

    world.goto.script = [lambda: None, lambda: None, end]
    with pytest.raises(Ended):
        world.tick()
    assert world.tick() == {Outcome.REFRESHED: 2}
    world.clock.pass_(world.time_left + LEASE_MARGIN)
    assert world.tick() == {Outcome.REFRESHED: 1}
    assert {world.grant(name).version for name in names} == {2}
    assert refresh_requests(world) == 6, "the one that was being asked for is asked for again"


def test_f13_a_default_fleet_needs_no_function_but_the_tick(world: World) -> None:
    """10,000 tenants at 10 refreshes a second: one that is given the whole rate waits least."""
    rows = tuple(Due(f"tenant-{number}", number) for number in range(17))
    vars(world.connections).update(due=lambda *_: rows)
    work = replace(on(world, pooled(1)), cap=world.settings.token_rate)
    assert work.tick().outcomes == {Outcome.NOT_TAKEN: 16 * 17}, (
        "nobody is there, and nothing was handed"
    )


@pytest.mark.parametrize(
    ("each_lane", "cap", "functions"),
    [
        (80, 30, 1),
        (99, 100, 1),
        (100, 50, 2),
        (100, 100, 4),
        (100, 500, LANES),
        (100, 5_000, LANES),
    ],
)
def test_f13_as_many_functions_as_the_rate_needs(
    world: World, each_lane: int, cap: int, functions: int
) -> None:
    """A lane whose batch is full has more: then it is the rate that counts."""
    rows = tuple(Due(f"tenant-{number}", number) for number in range(each_lane))
    vars(world.connections).update(due=lambda *_: rows)
    handed: list[tuple[Sequence[int], float]] = []
    work = on(world, pooled(1), lambda lanes, rate, wait: handed.append((lanes, rate)))
    assert replace(work, cap=cap).tick().outcomes == {"lanes": functions}
    assert sorted(lane for lanes, _ in handed for lane in lanes) == list(range(LANES))
    assert sum(rate for _, rate in handed) == pytest.approx(cap)
