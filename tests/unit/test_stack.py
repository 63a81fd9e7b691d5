"""What CloudFormation is told and asked, where the local cloud is not as AWS is: pages that end,
triggers that undo."""

import time
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from infra.package import Package
from infra.rollback_alarms import NONE, WATCHED
from infra.stack import WAITS_SECONDS, Plan, Stack, StackFailed
from infra.versions import BEFORE, LIVE, TAGS

PAGE = 100
"""Resources that CloudFormation tells of at once."""

ACCOUNT = "123456789012"
STACK_ID = f"arn:aws:cloudformation:eu-west-1:{ACCOUNT}:stack/ha-goto-x/1"


class CloudFormation:
    """CloudFormation with one stack, of which it tells a page at a time."""

    def __init__(self, resources: Mapping[str, str]) -> None:
        self.stack: dict[str, Any] = {"StackId": STACK_ID, "StackStatus": "UPDATE_COMPLETE"}
        self.asked: dict[str, Any] = {}
        self._resources = [
            {"LogicalResourceId": name, "PhysicalResourceId": real, "ResourceStatus": status}
            for name, real in resources.items()
            for status in ["DELETE_COMPLETE" if real.startswith("gone") else "CREATE_COMPLETE"]
        ]

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        return {"Stacks": [self.stack]}

    def describe_stack_resources(self, **_: Any) -> dict[str, Any]:
        return {"StackResources": self._resources[:PAGE]}

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate=getattr(self, f"_{operation}"))

    def _list_stack_resources(self, **_: Any) -> Iterator[dict[str, Any]]:
        for start in range(0, len(self._resources), PAGE):
            yield {"StackResourceSummaries": self._resources[start : start + PAGE]}

    def _describe_change_set(self, **_: Any) -> Iterator[dict[str, Any]]:
        yield {"Changes": []}

    def create_change_set(self, **asked: Any) -> dict[str, Any]:
        self.asked = asked
        return {"Id": "a-change-set"}

    def describe_change_set(self, **_: Any) -> dict[str, Any]:
        return {"Status": "CREATE_COMPLETE"}


class S3:
    """S3 with the stack's bucket. What it was not given is a template, put there just now.

    Without an owner there is no bucket yet. The world may ask for it, another account may own it.
    """

    meta = SimpleNamespace(endpoint_url="https://s3")

    def __init__(self, owner: str | None = ACCOUNT) -> None:
        self.put: dict[str, bytes] = {}
        self.ages: dict[str, float] = {}
        self.made: dict[str, Any] = {}
        self.open = True
        self._owner = owner

    def _expect(self, owner: str) -> None:
        if owner != self._owner:
            code = "403" if self._owner else "404"
            raise ClientError({"Error": {"Code": code}}, "HeadBucket")

    def head_bucket(self, Bucket: str, ExpectedBucketOwner: str) -> None:  # noqa: N803 - as AWS spells
        self._expect(ExpectedBucketOwner)

    def create_bucket(self, **asked: Any) -> None:
        self.made, self._owner = asked, ACCOUNT

    def put_public_access_block(self, ExpectedBucketOwner: str, **asked: Any) -> None:  # noqa: N803
        self._expect(ExpectedBucketOwner)
        self.open = not all(asked["PublicAccessBlockConfiguration"].values())

    def upload_file(self, file: str, bucket: str, key: str, ExtraArgs: dict[str, str]) -> None:  # noqa: N803
        self._expect(ExtraArgs["ExpectedBucketOwner"])
        self.put[key] = Path(file).read_bytes()

    def put_object(self, Bucket: str, Key: str, Body: bytes, ExpectedBucketOwner: str) -> None:  # noqa: N803
        self._expect(ExpectedBucketOwner)
        self.put[Key] = Body

    def get_object(self, Bucket: str, Key: str, ExpectedBucketOwner: str) -> dict[str, Any]:  # noqa: N803
        self._expect(ExpectedBucketOwner)
        return {"Body": BytesIO(self.put.get(Key, b"Parameters: {Kept: {}, New: {}}"))}

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate=getattr(self, f"_{operation}"))

    def _list_objects_v2(self, Bucket: str, ExpectedBucketOwner: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        self._expect(ExpectedBucketOwner)
        now = time.time()
        for key in self.put:  # a page each
            made = datetime.fromtimestamp(now - self.ages.get(key, 0), UTC)
            yield {"Contents": [{"Key": key, "LastModified": made}]}
        yield {}

    def delete_object(self, Bucket: str, Key: str, ExpectedBucketOwner: str) -> None:  # noqa: N803
        self._expect(ExpectedBucketOwner)
        del self.put[Key]


class Session:
    """A session of boto3's."""

    region_name = "eu-west-1"

    def __init__(
        self,
        cloudformation: CloudFormation,
        ringing: Collection[str] = (),
        owner: str | None = ACCOUNT,
    ) -> None:
        """``owner``: of the bucket of packages."""
        self._ringing = ringing
        self.s3 = S3(owner)
        self._clients = {
            "cloudformation": cloudformation,
            "cloudwatch": SimpleNamespace(describe_alarms=self._alarms),
            "s3": self.s3,
            "sts": SimpleNamespace(get_caller_identity=lambda: {"Account": ACCOUNT}),
        }

    def _alarms(self, AlarmNames: list[str]) -> dict[str, Any]:  # noqa: N803 - as AWS spells it
        assert AlarmNames
        states = {name: "ALARM" if name in self._ringing else "OK" for name in AlarmNames}
        told = [{"AlarmName": name, "StateValue": state} for name, state in states.items()]
        return {"MetricAlarms": told}

    def client(self, name: str, endpoint_url: str | None = None) -> Any:
        return self._clients[name]


class Waiting(CloudFormation):
    """CloudFormation that does not come to an end."""

    def __init__(self, *busy: tuple[str, str]) -> None:
        super().__init__({})
        self.protected = False
        self._resources = [
            {
                "LogicalResourceId": name,
                "ResourceType": kind,
                "ResourceStatus": "CREATE_IN_PROGRESS",
            }
            for name, kind in busy
        ] + [{"LogicalResourceId": "Done", "ResourceStatus": "CREATE_COMPLETE"}]

    def execute_change_set(self, **_: Any) -> None:
        self.stack["StackStatus"] = "CREATE_IN_PROGRESS"

    def update_termination_protection(self, EnableTerminationProtection: bool, **_: Any) -> None:  # noqa: N803
        self.protected = EnableTerminationProtection

    def get_waiter(self, name: str) -> Any:
        def wait(**_: Any) -> None:
            if self.stack["StackStatus"].endswith("_IN_PROGRESS"):
                raise WaiterError(name, "Max attempts exceeded", {})

        return SimpleNamespace(wait=wait)


def stack(cloudformation: CloudFormation, ringing: Collection[str] = ()) -> Stack:
    session = Session(cloudformation, ringing)
    return Stack(session, "ha-goto-x", poll={"Delay": 0, "MaxAttempts": 1})


def outputs(live: str, before: str) -> list[dict[str, str]]:
    told = {LIVE: live, BEFORE: before}
    return [{"OutputKey": key, "OutputValue": value} for key, value in told.items()]


def triggers(cloudformation: CloudFormation) -> set[str]:
    """The alarms that undo the change set that was asked for."""
    found = cloudformation.asked["RollbackConfiguration"]["RollbackTriggers"]
    return {each["Arn"].partition(f"{ACCOUNT}:")[2] for each in found}


ALARMS = {name: f"x-{name}" for name in WATCHED}
EVERY = {f"alarm:x-{name}" for name in WATCHED}
MANY = {f"Resource{number}": f"r-{number}" for number in range(2 * PAGE)}


@pytest.mark.parametrize(
    ("resources", "undoing"),
    [
        (ALARMS | MANY, EVERY),
        (MANY | ALARMS, EVERY),
        (MANY | ALARMS | {"TickFails": "gone-1"}, EVERY - {"alarm:x-TickFails"}),
        (MANY, set()),
    ],
    ids=["on the first page", "on the last page", "one is gone", "a version without alarms"],
)
def test_each_watched_alarm_that_runs_undoes_an_update(
    resources: dict[str, str], undoing: set[str]
) -> None:
    cloudformation = CloudFormation(resources)
    assert stack(cloudformation).plan("d" * 64, {}) is not None
    assert triggers(cloudformation) == undoing


def test_an_alarm_that_rings_already_does_not_undo_its_cure() -> None:
    cloudformation = CloudFormation(ALARMS)
    plan = stack(cloudformation, {"x-TickFails", "x-PagesFail"}).plan("d" * 64, {})
    assert plan is not None
    assert plan.ringing == ("PagesFail", "TickFails")
    assert triggers(cloudformation) == EVERY - {"alarm:x-TickFails", "alarm:x-PagesFail"}


def test_an_empty_list_is_said_where_all_ring() -> None:
    """Without one, CloudFormation takes the triggers of the operation before."""
    cloudformation = CloudFormation(ALARMS)
    assert stack(cloudformation, set(ALARMS.values())).plan("d" * 64, {}) is not None
    assert triggers(cloudformation) == set()


def test_no_alarm_undoes_going_back() -> None:
    """The alarms that call for it ring while it runs, and CloudFormation keeps old triggers."""
    cloudformation = CloudFormation(ALARMS)
    cloudformation.stack["Outputs"] = outputs(live="a", before="b")
    cloudformation.stack["Parameters"] = [{"ParameterKey": name} for name in ("Kept", "Gone")]
    plan = stack(cloudformation, set(ALARMS.values())).plan_back()
    assert plan is not None
    assert plan.ringing == ()
    assert cloudformation.asked["RollbackConfiguration"] == NONE
    assert NONE["RollbackTriggers"] == []
    assert [each["ParameterKey"] for each in cloudformation.asked["Parameters"]] == ["Kept"]


def test_no_tag_is_said_where_none_is_to_change() -> None:
    """A stack's tags are put on all that it has: the change set would name every resource."""
    cloudformation = CloudFormation({})
    cloudformation.stack["Tags"] = [{"Key": "cost", "Value": "1"}]
    assert stack(cloudformation).plan("d" * 64, {}) is not None
    assert "Tags" not in cloudformation.asked
    cloudformation.stack["Tags"] += [{"Key": tag, "Value": "a"} for tag in TAGS.values()]
    assert stack(cloudformation).plan("d" * 64, {}) is not None
    assert cloudformation.asked["Tags"] == [{"Key": "cost", "Value": "1"}]


def test_a_package_that_somebody_may_be_about_to_take_is_kept(tmp_path: Path) -> None:
    """An update that runs still tells the version before; a change set waits for its person."""
    cloudformation = CloudFormation({})
    cloudformation.stack["Outputs"] = outputs(live="running", before="ran")
    session = Session(cloudformation)
    for name in ("running", "ran", "waits", "forgotten"):
        session.s3.put[f"{name}.zip"] = b""
        session.s3.ages[f"{name}.zip"] = WAITS_SECONDS + 60
    session.s3.ages["waits.zip"] = WAITS_SECONDS - 60
    (tmp_path / "a").write_text("Parameters: {}")
    Stack(session, "ha-goto-x").publish(Package(tmp_path / "a", tmp_path / "a", "new"))
    assert {key.partition(".")[0] for key in session.s3.put} == {"running", "ran", "waits", "new"}


def test_a_bucket_that_another_account_made_first_gets_nothing(tmp_path: Path) -> None:
    """Its name can be guessed, and CloudFormation deploys what lies in it."""
    session = Session(CloudFormation({}), owner="666666666666")
    (tmp_path / "a").write_text("Parameters: {}")
    with pytest.raises(StackFailed, match="another account's"):
        Stack(session, "ha-goto-x").publish(Package(tmp_path / "a", tmp_path / "a", "new"))
    assert session.s3.put == {}
    with pytest.raises(StackFailed, match="another account's"):
        Stack(session, "ha-goto-x").plan("d" * 64, {})


def test_a_bucket_is_made_closed_and_its_name_fits(tmp_path: Path) -> None:
    session = Session(CloudFormation({}), owner=None)
    (tmp_path / "a").write_text("Parameters: {}")
    Stack(session, f"ha-goto-{'x' * 20}").publish(Package(tmp_path / "a", tmp_path / "a", "new"))
    assert not session.s3.open
    assert session.s3.made["CreateBucketConfiguration"] == {"LocationConstraint": "eu-west-1"}
    longest = len("ap-southeast-1") - len("eu-west-1")
    assert len(session.s3.made["Bucket"]) + longest <= 63


CERTIFICATE = ("Certificate", "AWS::CertificateManager::Certificate")


@pytest.mark.parametrize(
    ("busy", "said"),
    [
        ((CERTIFICATE,), "Certificate waits for the proof of its domain in DNS"),
        (
            (CERTIFICATE, ("RestAPI", "AWS::ApiGateway::RestApi")),
            "; RestAPI is CREATE_IN_PROGRESS.",
        ),
        ((), "its status is CREATE_IN_PROGRESS."),
    ],
    ids=["a zone that nobody delegates to", "several", "nothing by name"],
)
def test_a_wait_that_runs_out_says_what_is_still_done(
    busy: tuple[tuple[str, str], ...], said: str
) -> None:
    """AWS: "DNS validation", Certificate Manager User Guide: a certificate waits for three days."""
    cloudformation = Waiting(*busy)
    with pytest.raises(StackFailed, match="has not finished") as raised:
        stack(cloudformation).carry_out(Plan("a", "create", (), ()))
    assert said in str(raised.value)
    assert "no reason given" not in str(raised.value)


def test_a_stack_that_was_carried_out_is_protected() -> None:
    cloudformation = Waiting()
    vars(cloudformation).update(execute_change_set=lambda **_: None)
    stack(cloudformation).carry_out(Plan("a", "update", (), ()))
    assert cloudformation.protected
