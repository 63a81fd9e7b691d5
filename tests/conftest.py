"""What holds for every layer: a test that did not run is named at the end, and fails in CI."""

import gc
import os
import re
from collections import Counter
from collections.abc import Generator
from functools import cache
from typing import Any

import botocore.session
import botocore.useragent
import moto.core.models
import moto.core.utils
import pytest
import typer.main

pytest_plugins = ["tests.support.fixtures"]

ALONE = tuple(
    f"tests/e2e/test_{name}.py"
    for name in (
        "accessibility",
        "browsers",
        "cookies",
        "deploying",
        "fronts",
        "gateway_errors",
        "starting",
        "upgrade",
        "visitors",
    )
)
"""End-to-end tests that start a cloud of their own, or take minutes: not in a row with the others,
which share one."""

ROW = re.compile(r"\b[SsFf][0-3][0-9]\b")
"""A row of the requirements, as tests name it."""

LOCAL = "dynamodb-local"
"""In the id of each test that runs on it."""

CACHED = (
    (botocore.session, "create_loader"),
    (botocore.useragent, "sanitize_user_agent_string_component"),
    (moto.core.utils, "camelcase_to_underscores"),
    (typer.main, "get_command"),
)
"""What libraries would work out again and again: botocore's models for each of thousands of
sessions, moto's words for each call, every option of `ha-goto` for each of its commands."""

IN_CI = os.environ.get("CI") == "true"

MOST_LINES, MOST_CHARACTERS = 60, 400
"""Of a failure in CI: pytest would print a page or a difference whole there, and once more in its
summary."""


def _fail_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if IN_CI and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"Did not run, which is a failure in CI: {_reason(report)}"


def _shorten(report: pytest.TestReport) -> None:
    failure: Any = report.longrepr
    for traceback, crash, _ in getattr(failure, "chain", ()) if IN_CI else ():
        for entry in traceback.reprentries:
            kept = [line[:MOST_CHARACTERS] for line in entry.lines[:MOST_LINES]]
            if kept != entry.lines:
                entry.lines[:] = [*kept, "E   ... there is more: run this test without CI, by -vv"]
        if crash:
            crash.message = crash.message.partition("\n")[0][:MOST_CHARACTERS]


def _reason(report: Any) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_skipped(report)
    _shorten(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_skipped(report)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Which tests stay together in one of several processes: those of a file, all that use the one
    local cloud, and all that use the one DynamoDB Local. By a scheduler, for this pytest takes no
    group's mark from xdist 3.8."""
    from xdist.scheduler import LoadScopeScheduling

    class TogetherScheduling(LoadScopeScheduling):  # type: ignore[misc]  # likewise
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if LOCAL in nodeid:
                return LOCAL
            shared = file.startswith("tests/e2e/") and file not in ALONE
            return "tests/e2e" if shared else file

    return TogetherScheduling(config, log)


def pytest_configure(config: pytest.Config) -> None:
    for module, function in CACHED:
        setattr(module, function, cache(getattr(module, function)))
    # Nothing asks AWS by the library requests, whose mocks of each address take moto 6 ms a test.
    moto.core.models.RESPONSES_METHODS.clear()
    # What a shell has set for AWS must not lead a test to it.
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    config.addinivalue_line("markers", "engines: also on Amazon's DynamoDB Local")
    for letter, rows in (("s", 34), ("f", 36)):
        for number in range(1, rows + 1):
            row = f"{letter}{number:02}"
            config.addinivalue_line("markers", f"{row}: tests of row {row.upper()}")


def pytest_collection_finish() -> None:
    # What has been collected stays: looked through again and again, it takes a sixth of the time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`pytest -m s07` runs the tests that carry S07 in their name, id or docstring.

    The end-to-end tests begin first: they take longest, waiting for clocks.
    """
    for item in items:
        doc = getattr(getattr(item, "obj", None), "__doc__", None) or ""
        for row in ROW.findall(f"{item.name} {doc}".replace("_", " ")):
            item.add_marker(row.lower())
    _first_cases_alone(items)
    items.sort(key=lambda item: "e2e" not in item.path.parts)


def _first_cases_alone(items: list[pytest.Item]) -> None:
    """On DynamoDB Local one case says what the engine makes of a test, where its whole file is
    marked ``engines``; where the test itself is, each case runs there."""
    seen = set()
    for item in list(items):
        if LOCAL in item.nodeid and not any(mark.name == "engines" for mark in item.own_markers):
            test = item.nodeid.partition("[")[0]
            if test in seen:
                items.remove(item)
            seen.add(test)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    terminalreporter.section("what did not run")
    for reason, count in Counter(map(_reason, skipped)).items():
        terminalreporter.write_line(f"{count} not run: {reason}")
    if not skipped:
        terminalreporter.write_line("nothing: every test that was asked for ran")
