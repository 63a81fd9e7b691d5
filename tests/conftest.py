"""What holds for every layer: a test that did not run is named at the end, and fails in CI."""

import os
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

pytest_plugins = ["tests.support.fixtures"]

IN_CI = os.environ.get("CI") == "true"


def _fail_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if IN_CI and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"Did not run, which is a failure in CI: {_reason(report)}"


def _reason(report: Any) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_skipped(report)
    return report


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks when its turn comes
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests stay together in one of several processes: those of a file, and all that use the
    one local cloud. Those begin first: they take longest, waiting for clocks."""
    for item in items:
        on_cloud = "cloud" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("cloud" if on_cloud else item.path.stem))
    items.sort(key=lambda item: "e2e" not in item.path.parts)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    terminalreporter.section("what did not run")
    for reason, count in Counter(map(_reason, skipped)).items():
        terminalreporter.write_line(f"{count} not run: {reason}")
    if not skipped:
        terminalreporter.write_line("nothing: every test that was asked for ran")
