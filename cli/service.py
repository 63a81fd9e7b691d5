"""The one function that a rep may invoke, and the proof of who invokes it.

AWS does not tell a function who called it. So each call carries a proof (`cli/proof.py`), valid for
this call only; the service has STS check it.
"""

import json
import os
from functools import cached_property
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    ReadTimeoutError,
)
from botocore.exceptions import ConnectionError as NotConnected

from cli.proof import prove

FAILED, WRONG = 1, 2
"""Exit codes: AWS or the service failed; the input was wrong and nothing changed."""

CONNECT_TIMEOUT = 5
ANSWER_TIMEOUT = 70
"""Seconds; the function itself gives up after 60."""

_OURS = ("unavailable", "still_connected")
"""Kinds of refusals that are not the rep's mistake."""

_DENIED = ("AccessDeniedException", "AccessDenied", "UnrecognizedClientException")
_EXPIRED = ("ExpiredTokenException", "ExpiredToken", "InvalidClientTokenId")


_PLAIN = Config(use_fips_endpoint=False, use_dualstack_endpoint=False)


_OTHER_VERSION = "The service is of another version than ha-goto. Update the older of the two"


class Stopped(Exception):
    """Ends the program with one sentence and an exit code."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Answer(dict[str, Any]):
    """The service's answer, or an object in it. Members that another version lacks are None."""

    def __missing__(self, name: str) -> None:
        return None

    @classmethod
    def of(cls, value: Any) -> Any:
        """A JSON value, with each object in it as an `Answer`."""
        if isinstance(value, list):
            return [cls.of(each) for each in value]
        if isinstance(value, dict):
            return cls({name: cls.of(each) for name, each in value.items()})
        return value

    def need(self, name: str) -> Any:
        """A required member. Raises `Stopped` if it is missing."""
        if self[name] is None:
            raise Stopped(FAILED, f"{_OTHER_VERSION} ({name} is missing in its answer).")
        return self[name]


class Service:
    """One stage. ``session``: the caller's AWS identity."""

    def __init__(self, stage: str, session: boto3.Session | None = None) -> None:
        self.stage = stage
        self._function = f"ha-goto-{stage}-rep-command"
        self._given = session

    @cached_property
    def _session(self) -> boto3.Session:
        # AWS's other tools read AWS_REGION; boto3 reads only AWS_DEFAULT_REGION and profiles.
        return self._given or boto3.Session(
            botocore_session=_core(), region_name=os.environ.get("AWS_REGION")
        )

    def ask(self, command: str, **payload: Any) -> Answer:
        """Carry out one command. Raises `Stopped`."""
        asked = {"command": command, **payload}
        try:
            return self._judge(Answer.of(self._invoke({**asked, "proof": self._proof(asked)})))
        except NoCredentialsError:
            raise Stopped(
                FAILED,
                "There are no AWS credentials: run aws sso login or set AWS_PROFILE first.",
            ) from None
        except NoRegionError:
            raise Stopped(FAILED, "No AWS region is set: set AWS_REGION.") from None
        except ProfileNotFound:
            raise Stopped(
                FAILED, "AWS_PROFILE names no profile of this machine's AWS settings."
            ) from None
        except ReadTimeoutError:
            raise Stopped(
                FAILED, "No answer came in time; what was done is shown by tenant show."
            ) from None
        except ClientError as error:
            raise self._refusal(error) from None
        except (NotConnected, HTTPClientError) as error:
            raise Stopped(FAILED, f"AWS is out of reach ({type(error).__name__}).") from None
        except BotoCoreError as error:
            raise Stopped(
                FAILED,
                f"Your AWS login can't be used ({type(error).__name__}): log in to AWS again, or"
                " look at its settings.",
            ) from None

    def _invoke(self, payload: dict[str, Any]) -> Any:
        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=ANSWER_TIMEOUT,
            retries={"total_max_attempts": 1},
        )
        client = self._session.client("lambda", config=config)
        answer = client.invoke(FunctionName=self._function, Payload=json.dumps(payload).encode())
        body = json.loads(answer["Payload"].read() or b"null")
        if answer.get("FunctionError"):
            raise Stopped(
                FAILED,
                f"The service failed{_known_as(body)}; its log says why. Please tell the operator.",
            )
        return body

    def _judge(self, answer: Any) -> Answer:
        if not isinstance(answer, Answer):
            raise Stopped(FAILED, "The service's answer can't be read.")
        if answer.pop("ok", None):
            return answer
        code = FAILED if answer.get("kind") in _OURS else WRONG
        raise Stopped(code, str(answer.get("error", "The service refused without a reason.")))

    def _refusal(self, error: ClientError) -> Stopped:
        code = error.response["Error"]["Code"]
        if code == "ResourceNotFoundException":
            return Stopped(WRONG, f"There is no stage {self.stage!r} in this account and region.")
        if code in _DENIED:
            return Stopped(FAILED, f"Your AWS identity may not act on stage {self.stage!r}.")
        if code in _EXPIRED:
            return Stopped(FAILED, "Your AWS login has expired: log in again.")
        return Stopped(FAILED, f"AWS refused ({code}). Please try again.")

    def _proof(self, asked: dict[str, Any]) -> dict[str, str]:
        """Proof of the caller, signed for this command at this function."""
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        sts = self._session.client("sts", config=_PLAIN).meta
        frozen = credentials.get_frozen_credentials()
        return prove(frozen, sts.endpoint_url, sts.region_name, self._function, asked)


def _known_as(told: Any) -> str:
    """Kind and reference of the service's own error; nothing of any other error."""
    ours = isinstance(told, dict) and told.get("errorType") == "HandlerFailed"
    return f" ({told['errorMessage']})" if ours else ""


def _core() -> botocore.session.Session:
    """Signs for the region's STS, which the service asks, even if this machine's settings or an
    older botocore prefer the global one."""
    core = botocore.session.Session()
    core.set_config_variable("sts_regional_endpoints", "regional")
    return core
