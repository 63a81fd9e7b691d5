"""Check on a real account what the pages only believe about AWS: `make prove`.

    python -m infra.prove STAGE [--spare]

Prints a line for each belief: *as believed*, *not so* with what to do, or *unproven* with the
reason. Run it once after the first deployment. It pages the people on call once, adds and removes
its own tenant, and prints no secret. ``--spare`` also disables a key for a while and restores a
table: only for a stage that nobody needs. On the local cloud most lines are unproven.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli.service import Service, Stopped
from infra import aws_assumptions, preflight
from infra.aws_assumptions import Belief, NotSo, Unproven
from infra.stack import Stack, StackFailed

AS_BELIEVED, NOT_SO, UNPROVEN = "as believed", "not so", "unproven"


@dataclass(frozen=True)
class Finding:
    """The result for one belief; ``told`` says what was seen, or why it could not be checked."""

    belief: Belief
    verdict: str
    told: str

    def line(self) -> str:
        first = f"{self.verdict:<12} {self.belief.says}"
        seen = f"\n{'':<13}{self.told}" if self.told else ""
        then = f"\n{'':<13}And then: {self.belief.then}" if self.verdict == NOT_SO else ""
        return first + seen + then


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code: 1 if a belief is false or the stage can't be read."""
    parser = argparse.ArgumentParser(prog="prove", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage")
    parser.add_argument("--spare", action="store_true", help="a stage that nobody needs")
    options = parser.parse_args(arguments)
    session = preflight.session()
    stack = Stack(session, f"ha-goto-{options.stage}")
    try:
        stage = stage_of(
            session, stack, options.stage, local=bool(os.environ.get("AWS_ENDPOINT_URL"))
        )
        return prove(stage, print, spare=options.spare)
    except (StackFailed, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1


def stage_of(
    session: Any, stack: Stack, name: str, *, local: bool, endpoint: str | None = None
) -> aws_assumptions.Stage:
    """The stage to check. Raises `StackFailed` if there is no such stack."""
    live = stack.live
    if live is None:
        raise StackFailed(f"There is no stack {stack.name}.")
    return aws_assumptions.Stage(
        stack=live,
        outputs=stack.outputs,
        resources=stack.resources,
        parameters={
            each["ParameterKey"]: each["ParameterValue"] for each in live.get("Parameters", ())
        },
        client=lambda service: session.client(service, endpoint_url=endpoint),
        rep=_rep(Service(name, session)),
        local=local,
        pause=time.sleep,
    )


def _rep(service: Service) -> Callable[..., dict[str, Any]]:
    def ask(command: str, **given: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = service.ask(command, **given)
        except Stopped as stopped:
            raise NotSo(str(stopped)) from None
        return answer

    return ask


def prove(stage: aws_assumptions.Stage, say: Callable[[str], None], *, spare: bool = False) -> int:
    """Check each belief and print a line for it; 1 if one is false."""
    found = [_finding(one, stage, say) for one in aws_assumptions.ALL if spare or not one.spare]
    counts: Mapping[str, int] = {
        verdict: sum(one.verdict == verdict for one in found)
        for verdict in (AS_BELIEVED, NOT_SO, UNPROVEN)
    }
    say("\n" + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    if not spare:
        say("On a spare stage, ARGUMENTS=--spare proves more: a key that is disabled, a restore.")
    return 1 if counts[NOT_SO] else 0


def _finding(belief: Belief, stage: aws_assumptions.Stage, say: Callable[[str], None]) -> Finding:
    try:
        finding = Finding(belief, AS_BELIEVED, belief.look(stage))
    except Unproven as error:
        finding = Finding(belief, UNPROVEN, str(error))
    except NotSo as error:
        finding = Finding(belief, NOT_SO, str(error))
    except ClientError as error:
        # Only the code: a message may quote the request.
        finding = Finding(belief, UNPROVEN, f"AWS refused: {error.response['Error']['Code']}.")
    except (BotoCoreError, OSError) as error:
        finding = Finding(belief, UNPROVEN, f"AWS did not answer: {type(error).__name__}.")
    say(finding.line())
    return finding


if __name__ == "__main__":
    sys.exit(main())
