"""Import what a destroyed stack left behind into a new stack of the same name: `make adopt`.

    python -m infra.adopt STAGE [--yes]

CloudFormation lists a deleted stack for 90 days, with what it left: tables, keys, and the queues of
GoTo's answers. A change set of type IMPORT makes them a new stack; `make deploy` then adds the
rest. Their contents are neither read nor changed. Source: "Import AWS resources into a
CloudFormation stack", CloudFormation User Guide (import-resources.html).
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import WaiterError

from infra import changes, cloudformation, package, parameters, preflight
from infra.bucket import Bucket
from infra.deploy import EXPECTED
from infra.stack import POLL, Stack, StackFailed

IDENTIFIERS = dict(zip(changes.KEPT, ("TableName", "KeyId", "QueueUrl"), strict=True))
"""Each type's import identifier. Its value is the resource's physical id."""


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code: 1 if something was refused or failed, with one sentence printed."""
    parser = argparse.ArgumentParser(prog="adopt", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args(arguments)
    try:
        built = package.build()
        values = parameters.read(options.stage, built.template)
        session = preflight.session()
        adopter = Adopter(session, f"ha-goto-{options.stage}", yes=options.yes)
        return adopter.adopt(built.template.read_text(), values)
    except EXPECTED as error:
        print(error, file=sys.stderr)
        return 1


class Adopter:
    def __init__(
        self,
        session: Any,
        name: str,
        endpoint: str | None = None,
        *,
        yes: bool = False,
        ask: Callable[[str], str] = input,
        poll: Mapping[str, int] = POLL,
    ) -> None:
        self._cloudformation = session.client("cloudformation", endpoint_url=endpoint)
        self._session, self._name, self._endpoint = session, name, endpoint
        self._yes, self._ask, self._poll = yes, ask, dict(poll)

    def adopt(self, template: str, given: Mapping[str, str]) -> int:
        """Import what the last destroyed stack of this name left. Raises `StackFailed`."""
        if Stack(self._session, self._name, self._endpoint).live is not None:
            raise StackFailed(f"There is a stack {self._name}: destroy it first, or go on with it.")
        left = self._left()
        lines = [f"{one['LogicalResourceId']:<24} {one['PhysicalResourceId']}" for one in left]
        print(*lines, sep="\n")
        if not self._yes and self._ask("Import these? [y/N] ").strip().lower() not in ("y", "yes"):
            print("Nothing was changed.")
            return 1
        self._import(remains(template, left), left, given)
        print(f"{self._name} has them again. Next: make deploy.")
        return 0

    def _left(self) -> list[dict[str, Any]]:
        pages = self._cloudformation.get_paginator("list_stacks")
        deleted = [
            stack
            for page in pages.paginate(StackStatusFilter=["DELETE_COMPLETE"])
            for stack in page["StackSummaries"]
            if stack["StackName"] == self._name
        ]
        for stack in sorted(deleted, key=lambda one: one["DeletionTime"], reverse=True):
            found = self._skipped(stack["StackId"])
            # A failed first deployment leaves only empty tables, without keys.
            if any(one["ResourceType"] == "AWS::KMS::Key" for one in found):
                return found
        raise StackFailed(f"No destroyed stack {self._name} has left anything in the last 90 days.")

    def _skipped(self, stack: str) -> list[dict[str, Any]]:
        pages = self._cloudformation.get_paginator("list_stack_resources")
        return [
            one
            for page in pages.paginate(StackName=stack)
            for one in page["StackResourceSummaries"]
            if one["ResourceStatus"] == "DELETE_SKIPPED" and one["ResourceType"] in IDENTIFIERS
        ]

    def _import(self, template: str, left: list[dict[str, Any]], given: Mapping[str, str]) -> None:
        bucket = Bucket(self._session, self._name, self._endpoint)
        made = self._cloudformation.create_change_set(
            StackName=self._name,
            ChangeSetName=f"adopt-{time.time_ns()}",
            ChangeSetType="IMPORT",
            TemplateURL=bucket.put("adopted.json", template),
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in given.items()
            ],
            ResourcesToImport=[_entry(one) for one in left],
        )
        self._wait("change_set_create_complete", ChangeSetName=made["Id"])
        self._cloudformation.execute_change_set(ChangeSetName=made["Id"])
        self._wait("stack_import_complete")

    def _wait(self, until: str, **which: str) -> None:
        try:
            waiter = self._cloudformation.get_waiter(until)
            waiter.wait(StackName=self._name, WaiterConfig=self._poll, **which)
        except WaiterError as error:
            last: Any = error.last_response
            why = last.get("StatusReason") or last.get("Stacks", [{}])[0].get("StackStatusReason")
            raise StackFailed(f"The import failed: {why or error}") from None


def remains(template: str, left: list[dict[str, Any]]) -> str:
    """The template reduced to the resources that are left: an import allows no others.

    Raises `StackFailed` if one of them refers to a resource that is not left.
    """
    made = cloudformation.load(template)
    names = {one["LogicalResourceId"] for one in left}
    resources = {name: one for name, one in made["Resources"].items() if name in names}
    if missing := _referred(resources) - resources.keys() - made["Parameters"].keys():
        raise StackFailed(f"{', '.join(sorted(missing))} is not left; it can't be done without.")
    whole = {key: made[key] for key in ("Parameters", "Conditions") if key in made}
    return json.dumps({**whole, "Resources": resources})


def _entry(one: Mapping[str, Any]) -> dict[str, Any]:
    kind = one["ResourceType"]
    return {
        "ResourceType": kind,
        "LogicalResourceId": one["LogicalResourceId"],
        "ResourceIdentifier": {IDENTIFIERS[kind]: one["PhysicalResourceId"]},
    }


def _referred(part: Any) -> set[str]:
    """Resources and parameters that a part of a template refers to, except AWS's own."""
    if isinstance(part, list):
        return set().union(*map(_referred, part))
    if not isinstance(part, dict):
        return set()
    found = set().union(*map(_referred, part.values()))
    if isinstance(part.get("Fn::GetAtt"), list):
        found.add(part["Fn::GetAtt"][0])
    if isinstance(part.get("Ref"), str) and "::" not in part["Ref"]:
        found.add(part["Ref"])
    return found


if __name__ == "__main__":
    sys.exit(main())
