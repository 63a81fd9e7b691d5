"""Tenants of the local cloud: does what the rep and the customer do before a link works."""

import hashlib
import json
import secrets
from pathlib import Path
from typing import Any

from sandbox.cloud import LocalCloud
from sandbox.environment import write_private
from sandbox.processes import Failed
from sandbox.settings import Client


def onboard(cloud: LocalCloud, tenant: str, display_name: str, admin_email: str) -> str:
    """Add the tenant if it is missing, and enter its client; returns a new connect link.

    Raises `Failed` with the command's own sentence.
    """
    added = cloud.rep(
        "tenant_add", tenant=tenant, display_name=display_name, admin_email=admin_email
    )
    if not added["ok"] and added["kind"] != "tenant_exists":
        raise Failed(added["error"])
    note = cloud.folder / f"tenant-{tenant}.json"
    noted = json.loads(note.read_text()) if note.exists() else {}
    client = cloud.settings.client or _sandbox_client(cloud, tenant)
    entered = _fingerprint(client, cloud.provider.token_url)
    # Leave the same credentials alone: entering them again counts as a change.
    if added["ok"] or noted.get("entered") != entered:
        _succeed(
            cloud.rep(
                "credentials_set",
                tenant=tenant,
                client_id=client.client_id,
                client_secret=client.client_secret,
            )
        )
        write_private(note, json.dumps({"entered": entered}))
    return str(_succeed(cloud.rep("link_create", tenant=tenant))["url"])


def _sandbox_client(cloud: LocalCloud, tenant: str) -> Client:
    """The tenant's client at the sandbox's GoTo, created if missing."""
    file: Path = cloud.folder / f"client-{tenant}.json"
    if not file.exists():
        made = {"id": f"{tenant}-{secrets.token_hex(8)}", "secret": secrets.token_urlsafe(32)}
        write_private(file, json.dumps(made))
    stored = json.loads(file.read_text())
    client = Client(stored["id"], stored["secret"])
    cloud.register(client, tenant)
    return client


def _fingerprint(client: Client, token_url: str) -> str:
    text = json.dumps([client.client_id, client.client_secret, token_url])
    return hashlib.sha256(text.encode()).hexdigest()


def _succeed(answer: dict[str, Any]) -> dict[str, Any]:
    if not answer["ok"]:
        raise Failed(answer["error"])
    return answer
