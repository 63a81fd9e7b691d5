"""Keys that we share with another program: one secret in Secrets Manager, with a key per line.

Two keys may be valid at once, so a key can be replaced without an interruption.
"""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.aws import clients
from chalicelib.aws.errors import aws_errors
from chalicelib.durations import SHARED_KEYS_KEPT
from chalicelib.errors import Misconfigured

SHORTEST = 32
"""Minimum bytes in a key: the size of HMAC-SHA-256's output (RFC 7518 3.2)."""

MOST = 2


class SharedKeys:
    def __init__(
        self, client: clients.SecretsManagerClient, secret: str, clock: Callable[[], float]
    ) -> None:
        """``secret``: the secret's name. ``clock``: epoch seconds."""
        self._client = client
        self._secret = secret
        self._clock = clock
        self._keys: tuple[str, ...] = ()
        self._read_at = 0.0

    def __call__(self) -> tuple[str, ...]:
        """The valid keys, read at most a minute ago. Raises `DependencyUnavailable`,
        `Misconfigured`."""
        now = self._clock()
        if not self._keys or now - self._read_at >= SHARED_KEYS_KEPT:
            self._keys, self._read_at = self._read(), now
        return self._keys

    def _read(self) -> tuple[str, ...]:
        with aws_errors("secretsmanager"):
            answer = self._client.get_secret_value(SecretId=self._secret)
        keys = tuple(line.strip() for line in answer["SecretString"].splitlines() if line.strip())
        if not 0 < len(keys) <= MOST or min(len(key.encode()) for key in keys) < SHORTEST:
            raise Misconfigured(f"VISITOR_KEY must hold 1 to {MOST} keys of {SHORTEST} bytes")
        return keys
