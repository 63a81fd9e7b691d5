"""One CloudFormation stack of the product: publish a package, plan a change set, carry it out.

Works the same on AWS and on the local cloud. The bucket keeps the current package and the previous
one, by their digests, for a rollback; the stack's outputs name both.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from infra import changes, events, parameters, rollback_alarms, versions
from infra.bucket import Bucket, NotOurs
from infra.package import Package
from infra.versions import Versions

POLL = {"Delay": 2, "MaxAttempts": 900}
"""Half an hour in all: tables and indexes take long."""

WAITS_SECONDS = 86_400
"""Minimum time a package stays in the bucket: a pending change set or update may need it."""

_NO_CHANGES = ("didn't contain changes", "No updates are to be performed", "no changes")


class StackFailed(Exception):
    """CloudFormation refused or failed; the message says why in one sentence."""


@dataclass(frozen=True)
class Plan:
    """A change set, not yet carried out: its address, one line for each change, and the changes
    that `changes.loses`. Alarms that are already ``ringing`` do not undo it."""

    address: str
    kind: str
    lines: tuple[str, ...]
    losing: tuple[str, ...]
    ringing: tuple[str, ...] = ()


class Stack:
    """The stack ``name`` in the account and region of a boto3 session."""

    def __init__(
        self, session: Any, name: str, endpoint: str | None = None, poll: Any = None
    ) -> None:
        self.name = name
        self._cloudformation = session.client("cloudformation", endpoint_url=endpoint)
        self._cloudwatch = session.client("cloudwatch", endpoint_url=endpoint)
        self._session = session
        self._endpoint = endpoint
        self._poll = poll or POLL

    @property
    def live(self) -> dict[str, Any] | None:
        """The stack as CloudFormation describes it; None if there is none."""
        try:
            found: dict[str, Any] = self._cloudformation.describe_stacks(StackName=self.name)[
                "Stacks"
            ][0]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError":
                return None
            raise
        return None if found["StackStatus"] in ("DELETE_COMPLETE", "REVIEW_IN_PROGRESS") else found

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs. Raises `StackFailed` if there is no stack."""
        live = self._required()
        return {output["OutputKey"]: output["OutputValue"] for output in live["Outputs"]}

    @property
    def resources(self) -> dict[str, str]:
        """AWS's name of each resource, by its template name; empty if there is no stack. Read in
        pages, because `DescribeStackResources` silently stops after 100."""
        if self.live is None:
            return {}
        pages = self._cloudformation.get_paginator("list_stack_resources")
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages.paginate(StackName=self.name)
            for resource in page["StackResourceSummaries"]
            if resource["ResourceStatus"] != "DELETE_COMPLETE" and "PhysicalResourceId" in resource
        }

    @property
    def versions(self) -> Versions:
        """The package that the stack runs, and the previous one."""
        return versions.of(self.live)

    def publish(self, package: Package) -> None:
        """Upload code and template for CloudFormation. Raises `StackFailed`."""
        code = f"{package.digest}.zip"
        self._bucket.upload(package.code, code)
        template = package.template.read_text().replace(
            "CodeUri: ./deployment.zip", f"CodeUri: s3://{self._bucket.name}/{code}"
        )
        self._bucket.put(f"{package.digest}.yaml", template)
        self._clear()

    def _clear(self) -> None:
        """Delete old packages that the stack neither runs nor can go back to."""
        current = self.versions
        for key, since in list(self._bucket.ages()):
            wanted = key.partition(".")[0] in (current.live, current.before)
            if not wanted and since.timestamp() < time.time() - WAITS_SECONDS:
                self._bucket.delete(key)

    def plan(self, digest: str, given: Mapping[str, str]) -> Plan | None:
        """What deploying a published package would do; None if nothing. Raises `StackFailed`.

        An alarm that is already ringing does not undo it: the deployment may be the fix.
        """
        values = [{"ParameterKey": key, "ParameterValue": given[key]} for key in sorted(given)]
        live = self.live
        if live is None:
            return self._plan(digest, values, {})
        watched = rollback_alarms.watched(self._cloudwatch, self.resources)
        plan = self._plan(digest, values, watched.configuration(live["StackId"]))
        return plan and replace(plan, ringing=tuple(watched.ringing))

    def plan_back(self) -> Plan | None:
        """What restoring the previous package would do (current parameters); None if nothing.

        No alarm undoes it: those that call for it may still be ringing. Raises `StackFailed`.
        """
        before = self.versions.before
        if before is None:
            raise StackFailed(
                f"{self.name} has run one version only: there is nothing to go back to."
            )
        names = {each["ParameterKey"] for each in self._required().get("Parameters", ())}
        declared = parameters.declared_in(self._bucket.get(f"{before}.yaml"))
        return self._plan(
            before,
            [
                {"ParameterKey": key, "UsePreviousValue": True}
                for key in sorted(names & set(declared))
            ],
            rollback_alarms.NONE,
        )

    def _plan(
        self, digest: str, values: list[dict[str, Any]], undone_by: Mapping[str, Any]
    ) -> Plan | None:
        live = self.live
        template = versions.telling(
            self._bucket.get(f"{digest}.yaml"), versions.of(live).after(digest)
        )
        tags = versions.kept_tags(live)
        try:
            made = self._cloudformation.create_change_set(
                StackName=self.name,
                ChangeSetName=f"to-{digest[:12]}-{time.time_ns()}",
                ChangeSetType="UPDATE" if live else "CREATE",
                TemplateURL=self._bucket.put(f"{digest}.json", template),
                Parameters=values,
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
                **({} if tags is None else {"Tags": tags}),
                **({"RollbackConfiguration": undone_by} if undone_by else {}),
            )
        except ClientError as error:
            raise StackFailed(_said(error)) from None
        address = made["Id"]
        described = self._described(address)
        if described["Status"] == "FAILED":
            self._cloudformation.delete_change_set(ChangeSetName=address)
            reason = described.get("StatusReason", "no reason given")
            if any(words in reason for words in _NO_CHANGES):
                return None
            raise StackFailed(f"The change set failed: {reason}")
        planned = [change["ResourceChange"] for change in self._changes(address)]
        return Plan(
            address,
            "update" if live else "create",
            tuple(map(changes.line, planned)),
            tuple(changes.line(change) for change in planned if changes.loses(change)),
        )

    def forget(self, plan: Plan) -> None:
        """Discard the plan."""
        self._cloudformation.delete_change_set(ChangeSetName=plan.address)
        if plan.kind == "create":  # or an empty stack would stay in review forever
            self._cloudformation.delete_stack(StackName=self.name)

    def carry_out(self, plan: Plan) -> None:
        """Carry out the plan, and protect the stack from deletion by anything but `delete`.

        Raises `StackFailed` if CloudFormation rolled back or has not finished.
        """
        token = f"carry-out-{time.time_ns()}"
        self._cloudformation.execute_change_set(
            ChangeSetName=plan.address, ClientRequestToken=token
        )
        self._wait(f"stack_{plan.kind}_complete", token)
        self._protect(on=True)

    def delete(self) -> None:
        """Delete the stack; its tables, keys and answer queues stay. Raises `StackFailed`."""
        self._required()
        self._protect(on=False)
        token = f"delete-{time.time_ns()}"
        self._cloudformation.delete_stack(StackName=self.name, ClientRequestToken=token)
        self._wait("stack_delete_complete", token)

    def _protect(self, *, on: bool) -> None:
        """Turn protection from deletion in the console or by another command on or off."""
        self._cloudformation.update_termination_protection(
            StackName=self.name, EnableTerminationProtection=on
        )

    def _wait(self, until: str, token: str) -> None:
        """Wait until the operation with that token ends. Raises `StackFailed`."""
        try:
            waiter = self._cloudformation.get_waiter(until)
            waiter.wait(StackName=self.name, WaiterConfig=self._poll)
        except WaiterError:
            waits = events.still_at(self._cloudformation, self.name)
            if waits is not None:
                raise StackFailed(
                    f"CloudFormation has not finished and continues: {waits}"
                ) from None
            why = events.first_failure(self._cloudformation, self.name, token)
            raise StackFailed(f"The stack failed: {why}") from None

    def _required(self) -> dict[str, Any]:
        live = self.live
        if live is None:
            raise StackFailed(f"There is no stack {self.name}.")
        return live

    def _described(self, address: str) -> dict[str, Any]:
        """The change set, once CloudFormation has created it. Raises `StackFailed`."""
        for _ in range(self._poll["MaxAttempts"]):
            described: dict[str, Any] = self._cloudformation.describe_change_set(
                ChangeSetName=address, StackName=self.name
            )
            if described["Status"] in ("CREATE_COMPLETE", "FAILED"):
                return described
            time.sleep(self._poll["Delay"])
        raise StackFailed("The change set was not made in time.")

    def _changes(self, address: str) -> list[dict[str, Any]]:
        pages = self._cloudformation.get_paginator("describe_change_set")
        found = pages.paginate(ChangeSetName=address, StackName=self.name)
        return [change for page in found for change in page.get("Changes", ())]

    @cached_property
    def _bucket(self) -> Bucket:
        try:
            return Bucket(self._session, self.name, self._endpoint)
        except NotOurs as error:
            raise StackFailed(str(error)) from None


def _said(error: ClientError) -> str:
    return str(error.response["Error"].get("Message", "no reason given")).rstrip(".") + "."
