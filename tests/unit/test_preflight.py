"""What is checked before a deployment changes anything: Lambda's quota, and the Route 53 zone."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra import deploy, preflight
from infra.parameters import BadParameters

RESERVES_TEN = """
Resources:
  RefreshNow: {Type: AWS::Serverless::Function, Properties: {ReservedConcurrentExecutions: 10}}
  Tick: {Type: AWS::Serverless::Function, Properties: {}}
  Handle: {Type: AWS::CloudFormation::WaitConditionHandle}
"""
MADE = {"RefreshNow": "x-RefreshNow", "Tick": "x-Tick"}


class Lambda:
    """Lambda in an account that has so many concurrent executions left, or tells nothing."""

    def __init__(self, left: int = 0, *, has: int | None = None, refused: str = "") -> None:
        self._left, self._has, self._refused = left, has, refused

    def get_account_settings(self) -> dict[str, Any]:
        if self._refused:
            error = {"Code": self._refused, "Message": "No."}
            raise ClientError({"Error": error}, "GetAccountSettings")  # type: ignore[typeddict-item]
        return {"AccountLimit": {"UnreservedConcurrentExecutions": self._left}}

    def get_function_concurrency(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803 - as AWS spells it
        assert FunctionName == MADE["RefreshNow"]
        return {} if self._has is None else {"ReservedConcurrentExecutions": self._has}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    written = tmp_path / "sam.yaml"
    written.write_text(RESERVES_TEN)
    return written


def never() -> Mapping[str, str]:
    raise AssertionError("An account that has enough is enough.")


@pytest.mark.parametrize(
    ("lambda_", "made"),
    [
        (Lambda(110), never),
        (Lambda(100, has=10), lambda: MADE),
        (Lambda(0, has=10), lambda: MADE),
        (Lambda(105, has=5), lambda: MADE),
        (Lambda(100, has=20), lambda: MADE),
        (Lambda(refused="AccessDeniedException"), never),
    ],
    ids=[
        "just enough",
        "reserved already",
        "reserved already, and others have the rest",
        "five more",
        "fewer than it has",
        "who may not ask",
    ],
)
def test_an_account_that_can_give_it_is_taken(
    template: Path, lambda_: Lambda, made: Callable[[], Mapping[str, str]]
) -> None:
    preflight.check_concurrency(lambda_, template, made)


@pytest.mark.parametrize(
    ("lambda_", "made", "by"),
    [
        (Lambda(10), {}, 100),
        (Lambda(109), {}, 1),
        (Lambda(100), MADE, 10),
        (Lambda(104, has=5), MADE, 1),
    ],
    ids=["a new account", "one too few", "a version that reserved none", "a version with fewer"],
)
def test_an_account_with_too_few_is_refused(
    template: Path, lambda_: Lambda, made: Mapping[str, str], by: int
) -> None:
    with pytest.raises(BadParameters, match=rf"raise them by {by} at least\.$"):
        preflight.check_concurrency(lambda_, template, lambda: made)


class NewAccount:
    """A session of boto3's in an account without stacks, where nothing may be touched."""

    region_name = "eu-west-1"

    def __init__(self, lambda_: Lambda) -> None:
        self._lambda = lambda_

    def client(self, name: str, **_: Any) -> Any:
        return {"lambda": self._lambda, "cloudformation": self}.get(name)

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        raise ClientError({"Error": {"Code": "ValidationError"}}, "DescribeStacks")


@pytest.mark.parametrize(
    ("lambda_", "said"),
    [(Lambda(10), "Service Quotas"), (Lambda(refused="ServiceException"), "ServiceException")],
    ids=["too few", "an error of AWS's"],
)
@pytest.mark.parametrize("command", ["deploy", "diff"])
def test_nothing_is_touched_before(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    lambda_: Lambda,
    said: str,
) -> None:
    """Said in one sentence: any other call of AWS's would end in a traceback here."""
    monkeypatch.setattr("infra.runtime.fault", lambda: None)
    monkeypatch.setattr("boto3.Session", lambda **_: NewAccount(lambda_))
    assert deploy.main([command, "example", "--yes"]) == 1
    sentence = capsys.readouterr().err
    assert said in sentence
    assert sentence.count("\n") == 1


def test_the_region_is_the_one_that_the_operator_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 would read AWS_DEFAULT_REGION alone, or the profile's: another region's stack."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert preflight.session().region_name == "eu-central-1"
    monkeypatch.delenv("AWS_REGION")
    assert preflight.session().region_name == "eu-west-1"


class Zones:
    """Route 53 with one zone."""

    def __init__(self, name: str, *, private: bool = False) -> None:
        self._zone = {"Name": name, "Config": {"PrivateZone": private}}

    def get_hosted_zone(self, Id: str) -> dict[str, Any]:  # noqa: N803 - as AWS spells it
        assert Id == "Z1"
        return {"HostedZone": self._zone}


def in_zone(origin: str) -> Mapping[str, str]:
    return {"HostedZoneId": "Z1", "TenantOrigin": origin}


@pytest.mark.parametrize("origin", ["https://example.com", "https://{tenant}.a.example.com"])
def test_a_host_under_the_zone_is_taken(origin: str) -> None:
    preflight.check_zone(Zones("example.com."), in_zone(origin))


@pytest.mark.parametrize("origin", ["https://example.org", "https://goto.notexample.com"])
def test_a_host_of_another_zone_is_refused(origin: str) -> None:
    with pytest.raises(BadParameters, match=r"not under example\.com"):
        preflight.check_zone(Zones("example.com."), in_zone(origin))


def test_a_private_zone_is_refused() -> None:
    with pytest.raises(BadParameters, match="private zone"):
        preflight.check_zone(
            Zones("example.com.", private=True), in_zone("https://goto.example.com")
        )


def test_without_a_zone_nothing_is_asked() -> None:
    preflight.check_zone(None, {"TenantOrigin": "https://goto.example.com"})
