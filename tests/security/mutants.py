"""`make mutants`: small faults in the modules that hold tokens or decide who may do what.

At least `LEAST` of each module's mutants must make a test fail or be explained in
`mutants_explained.py`. An explanation that no mutant needs fails the run.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from sandbox.environment import ROOT
from tests.security.mutant_runs import Result, run
from tests.security.mutants_explained import EXPLAINED, Explained

LEAST = 0.95
"""Share of each module's mutants."""

FILES = {
    "authorize": "chalicelib/connect/authorize.py",
    "opaque": "chalicelib/opaque.py",
    "oauth": "chalicelib/goto/oauth.py",
    "complete": "chalicelib/connect/complete.py",
    "refresher": "chalicelib/refresh/refresher.py",
    "failure_decisions": "chalicelib/refresh/failure_decisions.py",
    "setback": "chalicelib/refresh/setback.py",
    "commit": "chalicelib/tokens/commit.py",
    "rescue": "chalicelib/tokens/rescue.py",
    "restored_backup": "chalicelib/tokens/restored_backup.py",
    "connections": "chalicelib/dynamodb/connections.py",
}

TESTS = {
    "authorize": (
        "tests/security/test_authorization.py",
        "tests/security/test_connecting_rules.py",
        "tests/security/test_cookies.py",
        "tests/integration/test_accounts.py",
        "tests/security/test_doors.py",
        "tests/security/test_visitors.py",
        "tests/security/test_flood.py",
        "tests/integration/test_connecting.py",
        "tests/integration/test_page.py",
        "tests/integration/test_usable.py",
    ),
    "opaque": ("tests/unit/test_links.py",),
    "oauth": ("tests/unit/test_oauth.py", "tests/security/test_authorization.py"),
    "complete": (
        "tests/integration/test_completion_results.py",
        "tests/integration/test_connecting.py",
        "tests/integration/test_accounts.py",
        "tests/integration/test_token_rows.py",
        "tests/integration/test_rescue_ends.py",
        "tests/integration/test_disconnecting.py",
        "tests/integration/test_commit_conflicts.py",
        "tests/security/test_connecting_rules.py",
        "tests/faults/test_races.py",
    ),
    "refresher": (
        "tests/integration/test_refresh_limits.py",
        "tests/integration/test_refreshing.py",
        "tests/integration/test_keeping.py",
        "tests/integration/test_disconnecting.py",
        "tests/integration/test_accounts.py",
        "tests/integration/test_token_rows.py",
        "tests/integration/test_grant_life.py",
        "tests/faults/test_races.py",
        "tests/integration/test_usable.py",
    ),
    "failure_decisions": ("tests/unit/test_failure_decisions.py",),
    "setback": ("tests/unit/test_setback.py",),
    "commit": (
        "tests/unit/test_commit_rules.py",
        "tests/integration/test_grant_life.py",
        "tests/integration/test_commit_conflicts.py",
        "tests/integration/test_token_rows.py",
        "tests/integration/test_keeping.py",
        "tests/integration/test_accounts.py",
        "tests/integration/test_connecting.py",
        "tests/integration/test_refreshing.py",
        "tests/integration/test_usable.py",
        "tests/integration/test_disconnecting.py",
        "tests/faults/test_races.py",
    ),
    "rescue": (
        "tests/unit/test_rescue_messages.py",
        "tests/integration/test_rescue_ends.py",
        "tests/integration/test_refresh_limits.py",
        "tests/integration/test_completion_results.py",
        "tests/integration/test_keeping.py",
        "tests/integration/test_accounts.py",
        "tests/integration/test_disconnecting.py",
        "tests/faults/test_races.py",
    ),
    "restored_backup": (
        "tests/unit/test_restored_backup.py",
        "tests/faults/test_restore.py",
    ),
    "connections": (
        "tests/integration/test_token_rows.py",
        "tests/integration/test_commit_conflicts.py",
        "tests/integration/test_refresh_limits.py",
        "tests/integration/test_refreshing.py",
        "tests/integration/test_keeping.py",
        "tests/integration/test_connecting.py",
        "tests/integration/test_accounts.py",
        "tests/integration/test_disconnecting.py",
        "tests/integration/test_grant_life.py",
        "tests/faults/test_restore.py",
        "tests/faults/test_races.py",
    ),
}
"""The quick tests that reach each module, the most direct first. For each mutant those are run that
execute its statement, for some seconds."""

WITHOUT = ("dynamodb-local", "a_year_of_faults")
"""Words in names of tests that take seconds."""


def explained(result: Result) -> list[Explained]:
    """The explanations of a mutant."""
    return [each for each in EXPLAINED if each.is_of(result.mutant)]


def show(result: Result) -> None:
    """Tell of a mutant that has survived without an explanation."""
    mutant = result.mutant
    if result.by is None and not explained(result):
        print(f"survived  {mutant.file}:{mutant.line} {mutant.function}")
        print(f"  - {mutant.was}\n  + {mutant.becomes}", flush=True)


def judge(file: str, results: Sequence[Result]) -> bool:
    """Whether a file's mutants do. Tells the figures, and what is explained in vain."""
    survived = [each for each in results if each.by is None]
    reasons = [explained(each) for each in survived]
    needed = {each for found in reasons for each in found}
    needless = [each for each in EXPLAINED if each.file == file and each not in needed]
    for each in needless:
        known = any(each.is_of(result.mutant) for result in results)
        fault = "a test notices it" if known else "there is no such mutant"
        print(f"explained in vain: {each.function}, {each.was!r} to {each.becomes!r}: {fault}")
    plain = sum(not found for found in reasons)
    share = 1 - plain / len(results)
    print(
        f"{file}: {len(results)} mutants, {len(results) - len(survived)} killed,"
        f" {len(survived) - plain} explained, {plain} survived: {share:.1%}"
    )
    return share >= LEAST and not needless


def main() -> int:
    """Try the mutants of each module; 1 where too many survive, or one is explained in vain."""
    parser = argparse.ArgumentParser(prog="python -m tests.security.mutants")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(FILES)}")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="mutants at a time")
    options = parser.parse_args()
    names = options.modules or list(FILES)
    if unknown := set(names) - set(FILES):
        parser.error(f"not one of these modules: {', '.join(sorted(unknown))}")
    tests = {FILES[name]: TESTS[name] for name in names}
    results = run(ROOT, tests, without=WITHOUT, workers=options.workers, told=show)
    well = [judge(file, [each for each in results if each.mutant.file == file]) for file in tests]
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
