"""Constants of time stand in one room, and lean on one another as its docstring says."""

import ast
import json
import re
from pathlib import Path

from chalicelib import durations
from chalicelib.notify import email_templates
from tests.support.aws import template

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "chalicelib"

_OF_TIME = re.compile(r"(?i)^(seconds|minutes|hours|days)\b")
_OTHER_ROOMS_NAMES = re.compile(r"_(SECONDS|TIMEOUT|DEADLINE|LIFETIME|PAUSE|DAYS)$|^TIMEOUT$")


def constants(path: Path) -> dict[str, str]:
    """Module-level constants with the docstring that follows them, empty where there is none."""
    found = {}
    body = ast.parse(path.read_text()).body
    for node, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            told = after.value if isinstance(after, ast.Expr) else None
            text = str(told.value) if isinstance(told, ast.Constant) else ""
            found[node.targets[0].id] = text
    return found


def timeout(function: str) -> int:
    functions = json.loads((ROOT / ".chalice" / "config.json").read_text())["lambda_functions"]
    return int(functions[function]["lambda_timeout"])


def test_no_other_room_has_a_constant_of_time() -> None:
    strays = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in [ROOT / "app.py", *LIBRARY.rglob("*.py")]
        if path.name != "durations.py"
        for name, text in constants(path).items()
        if _OF_TIME.search(text) or _OTHER_ROOMS_NAMES.search(name)
    }
    assert strays == set()


def test_every_constant_of_time_has_its_reason() -> None:
    """One docstring may stand for the constants right above it, as for the pauses of a backoff."""
    source = (LIBRARY / "durations.py").read_text()
    blocks = [block for block in source.split("\n\n") if re.match(r"[A-Z_]+ = ", block)]
    assert len(blocks) > 30
    assert [block for block in blocks if '"""' not in block and not block.startswith("DAY ")] == []


def test_a_request_ends_before_the_function_that_sends_it() -> None:
    assert (
        durations.OUTBOUND_READ_TIMEOUT
        < durations.ASK_DEADLINE
        < durations.TIME_TO_ASK
        < durations.TIME_FOR_ONE
    )
    for function in ("refresh_tick", "refresh_lane", "refresh_now"):
        assert timeout(function) > durations.TIME_FOR_ONE
    assert timeout("complete") > durations.ASK_DEADLINE + 2 * durations.SIDE_DEADLINE
    checks = durations.CHECK_DEADLINE + durations.REDIRECT_DEADLINE
    assert timeout("intake") >= checks + durations.AWS_READ_TIMEOUT
    assert timeout("rep_command") > durations.CHECK_DEADLINE


def test_who_waits_for_a_function_waits_longer_than_it_runs() -> None:
    assert timeout("intake") < durations.INTAKE_TIMEOUT < timeout("api_handler")
    assert durations.ASK_DEADLINE < durations.REFRESH_TIMEOUT < timeout("rep_command")


def test_a_refresh_comes_before_the_token_is_called_overdue_or_dead() -> None:
    assert durations.TICK_WORKS_FOR < 60 < durations.REFRESH_LEAD
    assert durations.OVERDUE_AFTER < durations.TICK_LATE
    assert durations.SETTLED_FOR < durations.LONGEST_MINIMUM < durations.ASSUMED_LIFETIME
    assert durations.BACKOFF_LEAST < durations.BACKOFF_BASE < durations.BACKOFF_CAP


def test_clocks_five_minutes_apart_take_no_lease_from_one_another() -> None:
    """F15"""
    assert durations.LEASE_MARGIN >= 300


def test_what_must_outlive_its_window_does() -> None:
    """S01: a used state is known for longer than it could have been used."""
    assert durations.REQUEST_LIFETIME <= 600 < durations.REQUEST_RETENTION
    assert durations.SENT_MAIL_RETENTION > durations.DAY
    assert durations.BROWSER_RETENTION > durations.LINK_LIFETIME


def test_a_revocation_is_tried_three_times_before_anybody_is_called() -> None:
    alarm = template()["Resources"]["RescueWaits"]["Properties"]
    rings_after = int(alarm["DatapointsToAlarm"]) * int(alarm["Period"])
    assert rings_after > 2 * durations.REVOKE_AGAIN


def test_mails_name_the_days_for_which_their_link_serves() -> None:
    named = re.findall(r"(\d+) days", Path(email_templates.__file__).read_text())
    assert {int(days) for days in named} == {durations.LINK_LIFETIME // durations.DAY}
