"""What a service's developer meets first: a stage that is not there, a region that is not set."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, NoRegionError

from ha_goto_tokens import TokenReader
from ha_goto_tokens.aws import client
from ha_goto_tokens.errors import Unavailable


class _Ssm:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def get_parameter(self, **_asked: Any) -> Any:
        raise self._error


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "x"}}, "GetParameter")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(NoRegionError(), "Set AWS_REGION", id="no region"),
        pytest.param(refused("ParameterNotFound"), "no such stage", id="no stage"),
        pytest.param(refused("AccessDeniedException"), "may not look the stage up", id="denied"),
        pytest.param(refused("Throttling"), "Throttling", id="anything else"),
    ],
)
def test_a_stage_that_cannot_be_looked_up_is_a_sentence_for_the_operator(
    error: Exception, words: str
) -> None:
    with pytest.raises(Unavailable) as raised:
        TokenReader("main", ssm=_Ssm(error))
    assert raised.value.whose_turn == "operator"
    assert words in str(raised.value)
    assert str(raised.value).startswith("stage main: ")


def test_aws_region_is_read_as_aws_s_other_tools_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert boto3.session.Session().region_name is None
    assert client("ssm").meta.region_name == "eu-west-3"
