"""Secrets Manager: the tenants' GoTo client secrets. Reads name the version, so they are never
stale. Only this module would change if client secrets moved elsewhere."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

from chalicelib.aws import clients
from chalicelib.aws.errors import aws_errors
from chalicelib.durations import SECRET_PAUSES, SECRET_RECOVERY
from chalicelib.errors import ClientGone, DependencyUnavailable
from chalicelib.models import ClientCredentials

_GONE = ("ResourceNotFoundException", "InvalidRequestException")
"""Error codes for a secret that is deleted or scheduled for deletion."""

_NOT_YET = ("ResourceNotFoundException", "InvalidRequestException")
"""Error codes for a secret created or restored moments ago: Secrets Manager is eventually
consistent."""

MOST_CACHED = 10_000
"""Secrets that a process caches, about 5 MB. When full, the cache is cleared."""


class SecretStore:
    def __init__(
        self,
        client: clients.SecretsManagerClient,
        prefix: str,
        kms_key: str,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._kms_key = kms_key
        self._pause = pause
        self._cache: dict[tuple[str, str], ClientCredentials] = {}

    def credentials(self, tenant: str, version: str) -> ClientCredentials:
        """A tenant's client as stored under ``version``. Raises `ClientGone`,
        `DependencyUnavailable`."""
        credentials = self._cache.get((tenant, version))
        if credentials is None:
            credentials = self._read(tenant, VersionId=version)
            if len(self._cache) >= MOST_CACHED:
                self._cache.clear()
            self._cache[tenant, version] = credentials
        return credentials

    def newest_of(self, tenant: str, client_id: str) -> ClientCredentials:
        """The newest secret of any of the tenant's clients, current or earlier. Raises
        `ClientGone`, `DependencyUnavailable`."""
        return self._read(tenant, VersionStage=_label(client_id))

    def store(self, tenant: str, credentials: ClientCredentials) -> str:
        """Store a client as a new version and return that version's id.

        Each client's newest version has a label, so AWS keeps it: we refresh a grant with the
        client it came from until the admin connects with the new one. AWS allows 20 labels, so a
        tenant can have 20 clients in its life. A secret scheduled for deletion is restored; one
        from a destroyed stack moves to this stack's key. Raises `DependencyUnavailable`.
        """
        name = self._prefix + tenant
        label = _label(credentials.client_id)
        text = json.dumps(
            {"client_id": credentials.client_id, "client_secret": credentials.client_secret}
        )
        try:
            made = self._call("create_secret", Name=name, KmsKeyId=self._kms_key, SecretString=text)
        except DependencyUnavailable as error:
            if error.code not in ("InvalidRequestException", "ResourceExistsException"):
                raise
            self._restore(name)
            # Without kms:Encrypt, which our roles lack, older versions stay under the old key. AWS:
            # "Change the encryption key for an AWS Secrets Manager secret", User Guide.
            self._patiently("update_secret", SecretId=name, KmsKeyId=self._kms_key)
            added = self._patiently(
                "put_secret_value", SecretId=name, SecretString=text, VersionStages=[label]
            )
            return str(added["VersionId"])
        version = str(made["VersionId"])
        self._patiently(
            "update_secret_version_stage",
            SecretId=name,
            VersionStage=label,
            MoveToVersionId=version,
        )
        return version

    def _patiently(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Retry a call about a secret created or restored moments ago (`_NOT_YET`)."""
        for seconds in SECRET_PAUSES:
            try:
                return self._call(operation, **arguments)
            except DependencyUnavailable as error:
                if error.code not in _NOT_YET:
                    raise
            self._pause(seconds)
        return self._call(operation, **arguments)

    def delete(self, tenant: str) -> None:
        """Schedule a tenant's secret, if any, for deletion; `store` would restore it. Raises
        `DependencyUnavailable`."""
        try:
            self._call(
                "delete_secret",
                SecretId=self._prefix + tenant,
                RecoveryWindowInDays=SECRET_RECOVERY,
            )
        except DependencyUnavailable as error:
            if error.code not in _GONE:
                raise

    def _restore(self, name: str) -> None:
        """Cancel a scheduled deletion, if there is one."""
        try:
            self._call("restore_secret", SecretId=name)
        except DependencyUnavailable as error:
            if error.code != "InvalidRequestException":
                raise

    def _read(self, tenant: str, **which: str) -> ClientCredentials:
        try:
            answer = self._call("get_secret_value", SecretId=self._prefix + tenant, **which)
        except DependencyUnavailable as error:
            if error.code in _GONE:
                raise ClientGone(error.service, error.code) from None
            raise
        stored = json.loads(answer["SecretString"])
        return ClientCredentials(stored["client_id"], stored["client_secret"])

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        with aws_errors("secretsmanager"):
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
        return answer


def _label(client_id: str) -> str:
    """The staging label of a client's newest secret."""
    return "client-" + hashlib.sha256(client_id.encode()).hexdigest()[:16]
