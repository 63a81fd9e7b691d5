"""The one function that a rep may invoke, and the proof of who invokes it.

AWS does not tell a function who called. So each call carries a signed request for STS's
`GetCallerIdentity`, good for minutes and for one stage; the service has STS check it.
"""

import json
import os
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
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

FAILED, WRONG = 1, 2
"""Exit codes: AWS or the service did not do it; what was given was wrong and nothing changed."""

STAGE_HEADER = "x-ha-goto-stage"
PROOF_LIFE = 60
"""Seconds for which a proof is made; the service takes it for a few minutes, as clocks are off."""

CONNECT_TIMEOUT = 5
ANSWER_TIMEOUT = 70
"""Seconds; the function itself gives up after 60."""

_OURS = ("unavailable", "still_connected")
"""Refusals that are no mistake of the rep's."""

_DENIED = ("AccessDeniedException", "AccessDenied", "UnrecognizedClientException")
_EXPIRED = ("ExpiredTokenException", "ExpiredToken", "InvalidClientTokenId")


_PLAIN = Config(use_fips_endpoint=False, use_dualstack_endpoint=False)


class Stopped(Exception):
    """Ends the program with one sentence and an exit code."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Service:
    """One stage. ``session``: whose AWS identity calls."""

    def __init__(self, stage: str, session: boto3.Session | None = None) -> None:
        self.stage = stage
        self._given = session

    @cached_property
    def _session(self) -> boto3.Session:
        # AWS_REGION is what AWS's other tools read; boto3 knows AWS_DEFAULT_REGION and profiles.
        return self._given or boto3.Session(
            botocore_session=_core(), region_name=os.environ.get("AWS_REGION")
        )

    def ask(self, command: str, **payload: Any) -> dict[str, Any]:
        """Carry out one command. Raises `Stopped`."""
        try:
            return self._judge(self._invoke({"command": command, **payload}))
        except NoCredentialsError:
            raise Stopped(FAILED, "There are no AWS credentials: log in to AWS first.") from None
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
        answer = client.invoke(
            FunctionName=f"ha-goto-{self.stage}-rep-command",
            Payload=json.dumps({**payload, "proof": self._proof()}).encode(),
        )
        if answer.get("FunctionError"):
            raise Stopped(FAILED, "The service failed; its log says why. Please tell the operator.")
        return json.loads(answer["Payload"].read() or b"null")

    def _judge(self, answer: Any) -> dict[str, Any]:
        if not isinstance(answer, dict):
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

    def _proof(self) -> str:
        """Who calls, signed: a presigned `GetCallerIdentity` without its host."""
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        endpoint = self._session.client("sts", config=_PLAIN).meta
        request = AWSRequest(
            method="GET",
            url=f"{endpoint.endpoint_url.rstrip('/')}/?Action=GetCallerIdentity&Version=2011-06-15",
            headers={STAGE_HEADER: self.stage},
        )
        signer = SigV4QueryAuth(
            credentials.get_frozen_credentials(), "sts", endpoint.region_name, expires=PROOF_LIFE
        )
        signer.add_auth(request)
        return urlsplit(str(request.url)).query


def _core() -> botocore.session.Session:
    """A proof is for the STS of the region, which the service asks, whatever this machine's
    settings or an older botocore would ask."""
    core = botocore.session.Session()
    core.set_config_variable("sts_regional_endpoints", "regional")
    return core
