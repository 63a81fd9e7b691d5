"""Requests are begun evenly, and never faster than the share allows."""

from concurrent.futures import ThreadPoolExecutor

from chalicelib.refresh.rate_limiter import RateLimiter


class Time:
    """A clock that sleeping moves on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_f13_slots_are_even_and_end_in_time() -> None:
    time = Time()
    rate_limiter = RateLimiter(4, time.now + 1, time, time.sleep)
    taken = []
    while rate_limiter.acquire():
        taken.append(time.now)
    assert taken == [100, 100.25, 100.5, 100.75, 101]


def test_the_first_slot_comes_after_the_wait() -> None:
    time = Time()
    rate_limiter = RateLimiter(4, time.now + 1, time, time.sleep, 0.5)
    taken = []
    while rate_limiter.acquire():
        taken.append(time.now)
    assert taken == [100.5, 100.75, 101]


def test_time_that_was_not_used_is_not_made_up_for() -> None:
    """After a pause there is no burst."""
    time = Time()
    rate_limiter = RateLimiter(1, 1_000, time, time.sleep)
    rate_limiter.acquire()
    time.now += 50
    rate_limiter.acquire()
    rate_limiter.acquire()
    assert time.slept == [1]


def test_f08_after_429_it_is_half_as_fast() -> None:
    time = Time()
    rate_limiter = RateLimiter(2, 1_000, time, time.sleep)
    rate_limiter.acquire()
    rate_limiter.slow_down()
    rate_limiter.acquire()
    rate_limiter.acquire()
    assert time.slept == [0.5, 1.0]


def test_threads_share_the_slots() -> None:
    """F13: whoever comes, no slot is given twice."""
    slept: list[float] = []
    rate_limiter = RateLimiter(1_024, 1.0, lambda: 0.0, slept.append)
    with ThreadPoolExecutor(8) as pool:
        took = list(pool.map(lambda _: rate_limiter.acquire(), range(2_000)))
    assert sum(took) == 1_025
    assert len(set(slept)) == 1_024
