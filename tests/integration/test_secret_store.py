"""Client secrets at Secrets Manager, where AWS is not as simple as a dictionary.

AWS: "Change the encryption key for an AWS Secrets Manager secret", Secrets Manager User Guide
(manage_update-encryption-key.html); "UpdateSecret", Secrets Manager API Reference.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from chalicelib.aws import secrets_manager
from chalicelib.aws.secrets_manager import SecretStore
from chalicelib.durations import SECRET_PAUSES
from chalicelib.errors import DependencyUnavailable
from chalicelib.models import ClientCredentials
from tests.support.aws import REGION, session

NAME = "ha-goto/staging/acme"


@pytest.fixture
def aws() -> Iterator[Any]:
    """Secrets Manager."""
    with mock_aws():
        yield session().create_client("secretsmanager", REGION)


def new_key() -> str:
    kms: Any = session().create_client("kms", REGION)
    return str(kms.create_key()["KeyMetadata"]["Arn"])


def test_a_secret_of_a_destroyed_stage_moves_to_the_new_key(aws: Any) -> None:
    """The stage was destroyed and made again: secrets stay, and the new roles may use its new key
    only."""
    with mock_aws():
        old, new = new_key(), new_key()
    for key, secret in ((old, "s"), (new, "s2")):
        SecretStore(aws, "ha-goto/staging/", key).store("acme", ClientCredentials("id", secret))
    assert aws.describe_secret(SecretId=NAME)["KmsKeyId"] == new
    kept = SecretStore(aws, "ha-goto/staging/", new).newest_of("acme", "id")
    assert kept.client_secret == "s2"


def test_a_secret_that_was_scheduled_for_deletion_moves_too(aws: Any) -> None:
    store = SecretStore(aws, "ha-goto/staging/", new_key())
    store.store("acme", ClientCredentials("id", "s"))
    store.delete("acme")
    other = new_key()
    SecretStore(aws, "ha-goto/staging/", other).store("acme", ClientCredentials("id", "s2"))
    assert aws.describe_secret(SecretId=NAME)["KmsKeyId"] == other


class Lagging:
    """Secrets Manager that does not know yet, so many times, what it was told just now."""

    def __init__(self, client: Any, operation: str, times: int) -> None:
        self._client, self._operation, self._times = client, operation, times

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            if operation == self._operation and self._times:
                self._times -= 1
                raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, operation)
            return getattr(self._client, operation)(**arguments)

        return call


@pytest.mark.parametrize("operation", ["update_secret_version_stage", "put_secret_value"])
def test_a_secret_that_was_made_just_now_is_waited_for(aws: Any, operation: str) -> None:
    """Read after create may find nothing (seen in terraform-provider-aws 18406)."""
    paused: list[float] = []
    key = new_key()
    if operation == "put_secret_value":
        SecretStore(aws, "ha-goto/staging/", key).store("acme", ClientCredentials("id", "s"))
    lagging: Any = Lagging(aws, operation, len(SECRET_PAUSES))
    store = SecretStore(lagging, "ha-goto/staging/", key, paused.append)
    version = store.store("acme", ClientCredentials("id", "s3"))
    assert tuple(paused) == SECRET_PAUSES
    assert store.credentials("acme", version).client_secret == "s3"
    lagging = Lagging(aws, "put_secret_value", len(SECRET_PAUSES) + 1)
    with pytest.raises(DependencyUnavailable, match="ResourceNotFound"):
        SecretStore(lagging, "ha-goto/staging/", key, paused.append).store(
            "acme", ClientCredentials("id", "s4")
        )


def test_a_process_remembers_so_many_secrets_and_no_more(
    aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets_manager, "MOST_CACHED", 2)
    store = SecretStore(aws, "ha-goto/staging/", new_key())
    versions = {
        name: store.store(name, ClientCredentials("id", name)) for name in ("one", "two", "three")
    }
    for name, version in versions.items():
        assert store.credentials(name, version).client_secret == name
        assert len(store._cache) <= 2
