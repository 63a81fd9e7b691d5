"""The key of a local cloud: created once for each state folder, readable only by this user."""

import json
import secrets
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.environment import write_private
from sandbox.guard import HEADER

VARIABLE = "SANDBOX_KEY"
"""Passes the secret to the sandbox's GoTo. Other users could read an argument."""


@dataclass(frozen=True)
class Key:
    """Like AWS's keys: the secret signs requests. Only unsigned requests send it, in `HEADER`."""

    access_key: str
    secret_key: str = field(repr=False)

    @classmethod
    def of(cls, folder: Path) -> "Key":
        """The folder's key, created if it has none."""
        file = folder / "key.json"
        if not file.exists():
            made = {
                "access": f"LOCAL{secrets.token_hex(8).upper()}",
                "secret": secrets.token_hex(32),
            }
            write_private(file, json.dumps(made))
        stored = json.loads(file.read_text())
        return cls(stored["access"], stored["secret"])

    @property
    def header(self) -> dict[str, str]:
        """The header for an unsigned request."""
        return {HEADER: self.secret_key}

    def shell(self, endpoint: str, region: str) -> str:
        """Lines that make a shell's AWS tools use only the local cloud."""
        variables = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }
        exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
        return "\n".join(["unset AWS_PROFILE AWS_SESSION_TOKEN", *exports, ""])
