"""F31: which time it is: by AWS's own answers, whatever this machine's clock does meanwhile."""

from collections.abc import Callable

import pytest
from botocore.exceptions import ConnectTimeoutError

from fakes import START, Bench, Clock
from ha_goto_tokens import TokenError

LIFE = 3_600
AWAY = ConnectTimeoutError(endpoint_url="https://dynamodb.example", error="x")
Motion = Callable[[Clock, int], None]


def still(_clock: Clock, _second: int) -> None:
    """It stays as wrong as it was."""


def jumping(clock: Clock, second: int) -> None:
    """Set by hand, back and forth, by up to five minutes."""
    clock.wrong_by = (0, 290, -290, 145)[second // 400 % 4]


def wandering(clock: Clock, second: int) -> None:
    """One second in a hundred, there and back, while the monotonic clock is right."""
    clock.wrong_by = 18 - abs(second % 3_600 - 1_800) / 100


def sleeping(clock: Clock, second: int) -> None:
    """A minute of every ten passes unseen by the monotonic clock, as on a machine that sleeps."""
    clock.asleep = 60.0 * (second // 600)


def reader_of(wrong_by: float, drift: float) -> Bench:
    bench = Bench()
    bench.dynamodb.clock = bench.clock
    bench.clock.wrong_by, bench.clock.drift = wrong_by, drift
    bench.dynamodb.put(expires_at=int(START) + LIFE)
    return bench


def served(bench: Bench, motion: Motion, second: int) -> bool:
    bench.clock.now = START + second
    motion(bench.clock, second)
    try:
        bench.reader.get("acme", 0)
    except TokenError:
        return False
    return True


@pytest.mark.parametrize(
    ("wrong_by", "drift", "motion"),
    [
        pytest.param(0, 0, still, id="right"),
        pytest.param(-300, 0, still, id="5 minutes slow"),
        pytest.param(300, 0, still, id="5 minutes fast"),
        pytest.param(0, 0.005, still, id="both clocks gain 5 in 1000"),
        pytest.param(0, -0.005, still, id="both clocks lose 5 in 1000"),
        pytest.param(0, 0, wandering, id="drifting by 1 in 100"),
        pytest.param(0, 0, jumping, id="jumping"),
        pytest.param(-300, 0, sleeping, id="asleep now and then"),
    ],
)
@pytest.mark.parametrize("outage", [False, True], ids=["", "DynamoDB away for the last 20 minutes"])
def test_f31_no_dead_token_and_no_life_wasted(
    wrong_by: float, drift: float, motion: Motion, outage: bool
) -> None:
    """F31: second by second to the token's end and beyond, with the service down."""
    bench = reader_of(wrong_by, drift)
    alive = []
    for second in range(LIFE + 60):
        if outage and second == LIFE - 1_200:
            bench.dynamodb.failing = AWAY
        if served(bench, motion, second):
            alive.append(second)
    assert max(alive) < LIFE, "a dead token was served"
    assert LIFE - len(alive) <= 30


def test_f31_a_clock_set_ahead_during_an_outage_costs_so_much_life() -> None:
    """F31: until AWS answers it looks like a machine that slept; a dead token would be worse."""
    bench = reader_of(0, 0)
    bench.reader.get("acme", 0)
    bench.clock.now += LIFE - 1_200
    bench.reader.get("acme", 0)
    bench.dynamodb.failing = AWAY
    bench.clock.wrong_by = 290
    alive = [second for second in range(LIFE - 1_200, LIFE) if served(bench, still, second)]
    assert LIFE - max(alive) == 292


def test_f31_a_machine_that_slept_reads_again() -> None:
    """F31: an hour passes in a frozen process: the token it remembers is dead."""
    bench = reader_of(0, 0)
    bench.reader.get("acme")
    bench.clock.now += LIFE
    bench.clock.asleep = LIFE
    assert bench.reader.cached("acme") is None
    bench.dynamodb.failing = AWAY
    with pytest.raises(TokenError):
        bench.reader.get("acme", 0)


def test_f31_several_answers_are_nearer_to_the_truth_than_one() -> None:
    """F31: a `Date` names a second; together they name a part of one."""
    bench = reader_of(-120, 0)
    bench.clock.now += 0.5
    errors = []
    for number in range(6):
        with pytest.raises(TokenError):
            bench.reader.get(f"unheard-of-{number}")
        errors.append(bench.reader._clock.error())
        assert 0 <= bench.reader._clock.latest() - bench.clock.now <= errors[-1]
        bench.clock.now += 1.15
    assert errors[-1] < 0.5 < errors[0] <= 1.0


@pytest.mark.parametrize("date", [None, "nonsense", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_f31_a_date_that_cannot_be_aws_s_is_not_believed(date: str | None) -> None:
    """F31: five minutes are assumed as before."""
    bench = reader_of(0, 0)
    clock = bench.reader._clock
    clock.measure(date, clock.monotonic())
    assert clock.latest() == START + 300
    assert clock.error() == 300


def test_f31_a_proxys_date_is_not_aws_s() -> None:
    """F31: only an answer with AWS's request id tells the time."""
    bench = reader_of(0, 0)
    dated = bench.clock.dated()
    vars(bench.clock).update(dated=lambda: dated | {"RequestId": None})
    bench.reader.get("acme")
    assert bench.reader._clock.error() == 300


def test_f31_the_service_is_asked_for_what_the_clock_may_be_wrong_by() -> None:
    """F31: about a second in place of five minutes."""
    bench = reader_of(0, 0)
    bench.dynamodb.put(expires_at=int(START) - 1)
    bench.function.answer = bench.refreshing
    assert bench.reader.get("acme").version == 2
    assert bench.function.asked == [{"tenant": "acme", "min_valid_seconds": 61}]
