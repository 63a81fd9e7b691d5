"""Put a stage of the product into an AWS account: `make deploy`, `diff`, `rollback`, `destroy`.

    python -m infra.deploy {deploy,diff,rollback,destroy} STAGE [--yes] [--lose]

Account, region and rights come from the AWS environment (profile, variables). Wrong parameters are
reported before anything changes.
"""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra import package, parameters, preflight
from infra.smoke import Smoke
from infra.stack import Plan, Stack, StackFailed

EXPECTED = (
    parameters.BadParameters,
    package.NotPackaged,
    StackFailed,
    BotoCoreError,
    ClientError,
    OSError,
)


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code: 1 if something was refused or failed, with one sentence printed."""
    parser = argparse.ArgumentParser(prog="deploy", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("deploy", "diff", "rollback", "destroy"))
    parser.add_argument("stage")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--lose", action="store_true", help="even where tables or keys would go")
    options = parser.parse_args(arguments)
    try:
        if options.command in ("deploy", "diff"):
            package.require_runtime()
        built = package.build()
        values = parameters.read(options.stage, built.template)
        session = preflight.session()
        operator = Operator(session, options.stage, yes=options.yes, lose=options.lose)
        if options.command in ("deploy", "diff"):
            preflight.check_zone(session.client("route53"), values)
            operator.check(session.client("lambda"), built)
        if options.command == "deploy":
            return operator.deploy(built, values)
        if options.command == "diff":
            return operator.diff(built, values)
        return operator.rollback() if options.command == "rollback" else operator.destroy()
    except EXPECTED as error:
        print(error, file=sys.stderr)
        return 1


class Operator:
    """One stage's commands. ``smoke`` tests a deployment and raises `StackFailed` if it is bad."""

    def __init__(
        self,
        session: Any,
        stage: str,
        *,
        yes: bool = False,
        lose: bool = False,
        stack: Stack | None = None,
        smoke: Callable[[dict[str, str]], None] | None = None,
        ask: Callable[[str], str] = input,
    ) -> None:
        self._stage = stage
        self._yes = yes
        self._lose = lose
        self._stack = stack or Stack(session, f"ha-goto-{stage}")
        self._smoke = smoke or Smoke(session)
        self._ask = ask

    def check(self, lambda_: Any, built: package.Package) -> None:
        """Raises `BadParameters` if the account lacks something that the stack needs."""
        preflight.check_concurrency(lambda_, built.template, lambda: self._stack.resources)

    def diff(self, built: package.Package, given: dict[str, str]) -> int:
        """Show what a deployment would change in the stack, without changing it."""
        self._stack.publish(built)
        plan = self._stack.plan(built.digest, given)
        self._show(plan)
        if plan:
            self._stack.forget(plan)
        return 0

    def deploy(self, built: package.Package, given: dict[str, str]) -> int:
        """Show and carry out the change set, and test the product; undo an update that fails."""
        self._stack.publish(built)
        plan = self._stack.plan(built.digest, given)
        same = built.digest == self._stack.versions.live
        if not self._carry_out(plan):
            return 1
        try:
            self._smoke(self._stack.outputs)
        except StackFailed as error:
            print(error, file=sys.stderr)
            if plan is not None and same:
                print("Its code is what ran before: put the parameters back and deploy again.")
            elif plan is not None and plan.kind == "update":
                print("Rolling back to the previous version.")
                self._back()
            return 1
        print(f"{self._stack.name} runs {built.digest[:12]} and answers.")
        return 0

    def rollback(self) -> int:
        """Restore the previous version, with the current parameters."""
        if not self._carry_out(self._stack.plan_back()):
            return 1
        self._smoke(self._stack.outputs)
        print(f"{self._stack.name} runs the version before.")
        return 0

    def destroy(self) -> int:
        """Delete the stack, except for what exists nowhere else."""
        print("Tables, keys, client secrets and the queues of GoTo's answers stay; the stack goes.")
        if not self._yes and self._ask(f"Type {self._stage} to destroy it: ") != self._stage:
            print("Nothing was touched.")
            return 1
        self._stack.delete()
        print(f"{self._stack.name} is gone.")
        return 0

    def _back(self) -> None:
        """Restore the previous version, unless that would lose a table: a person decides that."""
        plan = self._stack.plan_back()
        if plan is None:
            return
        if plan.losing:
            self._stack.forget(plan)
            print("Going back would lose these, so nothing was changed:", *plan.losing, sep="\n  ")
            return
        self._stack.carry_out(plan)
        self._smoke(self._stack.outputs)

    def _carry_out(self, plan: Plan | None) -> bool:
        """Show the plan and carry it out. False if it was refused and nothing was changed."""
        self._show(plan)
        if plan is None:
            return True
        refused = plan.losing and not self._lose
        if refused:
            print(
                "These hold what exists nowhere else, and would be lost:", *plan.losing, sep="\n  "
            )
            print("Nothing was changed; --lose does it all the same.")
        elif not self._yes:
            refused = self._ask("Carry it out? [y/N] ").strip().lower() not in ("y", "yes")
        if refused:
            self._stack.forget(plan)
            return False
        self._stack.carry_out(plan)
        return True

    def _show(self, plan: Plan | None) -> None:
        lines = list(plan.lines) if plan else ["Nothing would change."]
        if plan:
            lines += [
                f"{alarm} is already ringing, so it will not trigger a rollback."
                for alarm in plan.ringing
            ]
        print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
