"""HA's front, as tests play it: it signs who is logged in, for a host of the tenant's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jwt

from chalicelib.config import VisitorIdentity
from tests.support.site import Answered, Site
from tests.support.world import World

KEY = "a key that HA's front and we share: 1"
OLDER_KEY = "a key that HA's front and we share: 0"
VISITOR_KEY = "visitor-key"
"""The secret that holds them."""

EMAIL = "ann@acme.example"
HEADER = "x-visitor-token"


def host_of(tenant: str) -> str:
    return f"{tenant}.analytics.example"


def token(now: float, tenant: str = "acme", key: str = KEY, **changed: Any) -> str:
    """A token as a front makes it, but for what a test changes; None leaves a claim out."""
    claims = {
        "sub": "7f3c",
        "email": EMAIL,
        "tenant": tenant,
        "aud": f"https://{host_of(tenant)}",
        "exp": int(now) + 120,
        **changed,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    # Not jwt.encode, which refuses claims that no front should make.
    return jwt.PyJWS().encode(json.dumps(kept).encode(), key, "HS256")


def listen(world: World, mode: VisitorIdentity, *keys: str) -> None:
    """Let the service know visitors from now on, or no longer; by these keys at first (`KEY`, where
    none is given)."""
    if world.settings.visitor_key is None:
        store = world.deployment.client("secretsmanager")
        store.create_secret(Name=VISITOR_KEY, SecretString="\n".join(keys or (KEY,)))
    world.settings = replace(world.settings, visitor_identity=mode, visitor_key=VISITOR_KEY)


class Person(Site):
    """The browser of somebody who is logged in to hireanalytiX, behind HA's front."""

    def __init__(self, world: Any, tenant: str = "acme", email: str = EMAIL) -> None:
        super().__init__(world)
        self.tenant = tenant
        self.email = email

    def send(
        self, method: str, address: str, body: str = "", headers: dict[str, str] | None = None
    ) -> Answered:
        named = token(self.world.clock.now, self.tenant, email=self.email)
        front = {HEADER: named, "x-forwarded-host": host_of(self.tenant)}
        return super().send(method, address, body, {**front, **(headers or {})})
