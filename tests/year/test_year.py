"""A short year: what `make simulate` shows for 365 days, for as long as a test may take."""

import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from chalicelib.durations import DAY
from docs.examples import import_calls
from tests.year import simulate
from tests.year.figures import LARGE, WITHIN, Cause, Figures, Life
from tests.year.picture import COLORS, draw
from tests.year.troubles import HOUR, Trouble, Window
from tests.year.year import live


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Readers and importer tell of each bad minute."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


def test_nothing_is_lost_in_a_month_of_faults(aws_credentials: None) -> None:
    """F01-F13 at random: every call once and with its own customer, nobody asked without need, each
    lost answer flagged, each end told in time."""
    figures = live(tenants=12, days=36, seed=3)
    assert figures.broken() == []
    counts = figures.counts
    assert counts["calls made"] > 3_000
    assert counts["processes killed"] > 2
    assert counts["rescued"] > 2
    assert counts["reconnects"] + counts["reconnects before anything broke"] > 5


def test_the_same_seed_has_the_same_figures(aws_credentials: None) -> None:
    first, again, other = (live(tenants=4, days=2, seed=seed) for seed in (5, 5, 6))
    assert first.to_dict() == again.to_dict()
    assert first.to_dict() != other.to_dict()


def test_an_importer_that_misses_calls_is_noticed(
    aws_credentials: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that is listed hours after it began is not read by one that never looks back."""
    monkeypatch.setattr(import_calls, "OVERLAP", timedelta(0))
    figures = live(tenants=4, days=4, seed=5)
    assert figures.counts["calls missing"] > 0
    assert any("calls missing" in fault for fault in figures.broken())


def test_the_command_shows_and_draws_it(
    aws_credentials: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`make simulate` in small: two processes, one table."""
    assert simulate.main(["--tenants", "4", "--days", "2", "--keep"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^calls made +\d{2,}$", told, re.MULTILINE)
    assert re.search(r"^calls missing +0$", told, re.MULTILINE)
    picture = tmp_path / "year.svg"
    figures = Figures(tenants=2)
    for life in (Life(0.0, 0.0, 10.0 * DAY), Life(0.0, 0.0, 4.0 * DAY)):
        life.dead = [(4.0 * DAY, 5.0 * DAY)]
        figures.live(life, (), 0.0, 10.0 * DAY)
    draw(picture, figures, 10)
    drawn = ET.parse(picture).getroot().iter("{http://www.w3.org/2000/svg}rect")
    unexplained = [each for each in drawn if each.get("fill") == COLORS[Cause.UNEXPLAINED]]
    assert len(unexplained) == 3  # one in each strip, and the legend's


SOUND = Figures(tenants=1)
SOUND.live(Life(0.0, 0.0, 10.0), (), 0.0, 10.0)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"ended: response_lost": 1}, id="a loss that nobody injected"),
        pytest.param({"new tokens lost with a process": 1}, id="a loss that is not flagged"),
        pytest.param({"reconnects asked for without a cause": 1}, id="a needless reconnect"),
        pytest.param({"tenants lost for good": 1}, id="a lost tenant"),
        pytest.param({"calls of another customer": 1}, id="another customer's call"),
        pytest.param({"calls twice": 1}, id="a call twice"),
        pytest.param({"calls missing": 1}, id="a missing call"),
        pytest.param({"false alarms": 1}, id="a false alarm"),
        pytest.param({"causes that nobody was told of": 1}, id="nobody was told"),
    ],
)
def test_the_figures_would_tell(change: dict[str, int]) -> None:
    assert SOUND.broken() == []
    told = Figures(tenants=1, seconds=SOUND.seconds)
    told.counts.update(change)
    assert told.broken() != []


@pytest.mark.parametrize("cause", WITHIN)
def test_a_late_word_would_be_noticed(cause: str) -> None:
    told = Figures(tenants=LARGE, seconds=SOUND.seconds, told={cause: [WITHIN[cause] + 1]})
    assert len(told.broken()) == 1


def test_time_without_a_token_is_counted_once_and_to_its_cause() -> None:
    """Of ten days: one without us, two until the admin came, an hour that nobody can explain."""
    figures, life = Figures(), Life(0.0, 0.0, 10.0 * DAY)
    life.mended = {Cause.MONTH: [(3.0 * DAY, 5.0 * DAY)]}
    life.dead = [(1.0 * DAY, 2.0 * DAY), (3.5 * DAY, 5.0 * DAY), (7.0 * DAY, 7.0 * DAY + HOUR)]
    window = Window(Trouble.ABSENT, 1.0 * DAY, 2.0 * DAY)
    figures.live(life, (window,), 0.0, 10.0 * DAY)
    found = {cause: seconds / HOUR for cause, seconds in figures.seconds.items() if seconds}
    assert found == {
        "lived": 240,
        "unusable": 61,
        "people's own": 48,
        Cause.ABSENT: 24,
        Cause.MONTH: 36,
        Cause.UNEXPLAINED: 1,
    }
    assert figures.usable == pytest.approx(1 - 61 / 240)
    assert figures.usable_but_for_people == pytest.approx(1 - 25 / 192)
    assert figures.usable_otherwise == pytest.approx(1 - 1 / 192)
