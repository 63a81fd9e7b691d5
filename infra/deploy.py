"""Put a stage of the product into an AWS account: `make deploy`, `diff`, `rollback`, `destroy`.

    python -m infra.deploy {deploy,diff,rollback,destroy} STAGE [--yes] [--lose]

Account, region and rights are those of the AWS environment (profile, variables). What is wrong
with the parameters is said before anything is touched.
"""

import argparse
import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra import account, package, parameters, zone
from infra.stack import Plan, Stack, StackFailed

EXPECTED = (
    parameters.BadParameters,
    package.NotPackaged,
    StackFailed,
    BotoCoreError,
    ClientError,
    OSError,
)

TICK = {
    "version": "0",
    "id": "smoke-test",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "",
    "time": "",
    "region": "",
    "resources": [],
    "detail": {},
}
"""What EventBridge sends each minute. One tick more than the schedule's has no effect (F17)."""

SMOKE_SECONDS, PAUSE_SECONDS = 60, 5
"""How long a deployment has to answer, and how long to wait between two tries."""

TICK_SECONDS = 130
"""How long a tick is waited for; it ends by itself after 120."""


def main(arguments: list[str] | None = None) -> int:
    """The command's exit code: 1 where something was refused or failed, in one sentence."""
    parser = argparse.ArgumentParser(prog="deploy", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("deploy", "diff", "rollback", "destroy"))
    parser.add_argument("stage")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--lose", action="store_true", help="even where tables or keys would go")
    options = parser.parse_args(arguments)
    try:
        built = package.build()
        given = parameters.read(options.stage, built.template)
        session = account.session()
        operator = Operator(session, options.stage, yes=options.yes, lose=options.lose)
        if options.command in ("deploy", "diff"):
            zone.check(session.client("route53"), given)
            operator.check(session.client("lambda"), built)
        if options.command == "deploy":
            return operator.deploy(built, given)
        if options.command == "diff":
            return operator.diff(built, given)
        return operator.rollback() if options.command == "rollback" else operator.destroy()
    except EXPECTED as error:
        print(error, file=sys.stderr)
        return 1


class Operator:
    """What one person does to one stage. ``smoke`` raises `StackFailed` where it finds smoke."""

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
        """Raises `BadParameters` where the account has not what the stack would need."""
        account.check(lambda_, built.template, lambda: self._stack.resources)

    def diff(self, built: package.Package, given: dict[str, str]) -> int:
        """Show what a deployment would change, and change nothing."""
        self._stack.publish(built)
        plan = self._stack.plan(built.digest, given)
        self._show(plan)
        if plan:
            self._stack.forget(plan)
        return 0

    def deploy(self, built: package.Package, given: dict[str, str]) -> int:
        """Show the change set, carry it out, try the product; go back where it does not work."""
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
                print("Going back to the version before.")
                self._back()
            return 1
        print(f"{self._stack.name} runs {built.digest[:12]} and answers.")
        return 0

    def rollback(self) -> int:
        """Put the version before back, with the parameters as they are."""
        if not self._carry_out(self._stack.plan_back()):
            return 1
        self._smoke(self._stack.outputs)
        print(f"{self._stack.name} runs the version before.")
        return 0

    def destroy(self) -> int:
        """Delete the stack, but for what exists nowhere else."""
        print("Tables, keys, client secrets and the queues of GoTo's answers stay; the stack goes.")
        if not self._yes and self._ask(f"Type {self._stage} to destroy it: ") != self._stage:
            print("Nothing was touched.")
            return 1
        self._stack.delete()
        print(f"{self._stack.name} is gone.")
        return 0

    def _back(self) -> None:
        plan = self._stack.plan_back()
        if plan is not None:
            self._stack.carry_out(plan)
            self._smoke(self._stack.outputs)

    def _carry_out(self, plan: Plan | None) -> bool:
        """False where it was refused, and nothing was changed."""
        self._show(plan)
        if plan is None:
            return True
        refused = plan.losing and not self._lose
        if refused:
            print("These hold what exists nowhere else, and would go:", *plan.losing, sep="\n  ")
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
            lines += [f"{alarm} rings already and undoes nothing." for alarm in plan.ringing]
        print(*lines, sep="\n", flush=True)


def pages_of(outputs: Mapping[str, str]) -> str:
    """Where a stage's pages answer: as the stack says, or at the cloud that AWS's own variable
    names instead of AWS, which no name of the world's leads to."""
    elsewhere = os.environ.get("AWS_ENDPOINT_URL")
    if not elsewhere:
        # A version that is gone back to may be older than that output.
        return outputs.get("PagesURL") or outputs["EndpointURL"].rstrip("/")
    stage = f"{outputs['ApiId']}/{outputs['ApiStage']}"
    return f"{elsewhere.rstrip('/')}/_aws/execute-api/{stage}"


class Smoke:
    """Tries a deployment: the web function answers, a tick runs through."""

    def __init__(
        self,
        session: Any,
        endpoint: str | None = None,
        pages: str | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """``pages``: where the pages answer, where it is not as the stack says."""
        config = Config(read_timeout=TICK_SECONDS, retries={"total_max_attempts": 1})
        self._lambda = session.client("lambda", endpoint_url=endpoint, config=config)
        self._pages = pages
        self._pause = pause

    def __call__(self, outputs: dict[str, str]) -> None:
        """Raises `StackFailed`."""
        address = (self._pages or pages_of(outputs)) + "/healthz"
        if not self._answered(address):
            raise StackFailed("The web function answers, but not that it is well.")
        try:
            ticked = self._lambda.invoke(
                FunctionName=outputs["RefreshTickFunction"], Payload=json.dumps(TICK).encode()
            )
        except (BotoCoreError, ClientError) as error:
            raise StackFailed(f"A tick could not be tried: {error}") from None
        if "FunctionError" in ticked:
            raise StackFailed("A tick ended in an error; the log of RefreshTick says why.")

    def _answered(self, address: str) -> bool:
        """Whether it is well. Tried for a minute: a new host takes its time to be known."""
        for _ in range(SMOKE_SECONDS // PAUSE_SECONDS):
            try:
                with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 # nosec B310 - https, or the local cloud
                    return bool(json.load(answer) == {"ok": True})
            except (OSError, ValueError) as error:
                said = error
            self._pause(PAUSE_SECONDS)
        raise StackFailed(f"The web function does not answer: {said}")


if __name__ == "__main__":
    sys.exit(main())
