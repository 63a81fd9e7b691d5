"""A fleet of connected tenants, put into the tables as the product would have left it.

Quick enough for 100,000 of them; a test compares its rows with those of a tenant who connected.
Imports nothing but the product: the workers of the process runs load it too.
"""

import itertools
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from chalicelib.config import Settings
from chalicelib.durations import PROBE_EVERY, REFRESH_TOKEN_LIFETIME
from chalicelib.dynamodb import expressions
from chalicelib.dynamodb.rows import SCHEMA
from chalicelib.models import ClientCredentials, Status, lane
from chalicelib.permissions import Usable

BATCH = 25
"""Rows in one BatchWriteItem at most (DynamoDB's limit)."""

WRITERS = 4

SECRET_VERSION = "00000000-0000-4000-8000-000000000001"

Requests = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Seed:
    """One connected tenant; times in epoch seconds, tokens as GoTo would have given them."""

    tenant: str
    connected_at: int
    expires_at: int
    next_refresh_at: int
    access_token: str
    refresh_token: str


class Secrets:
    """Stands in for Secrets Manager: each tenant's client, made from its name."""

    def credentials(self, tenant: str, version: str) -> ClientCredentials:
        return ClientCredentials(client_id(tenant), f"secret-{tenant}+/=")

    def newest_of(self, tenant: str, client_id: str) -> ClientCredentials:
        return ClientCredentials(client_id, f"secret-{tenant}+/=")


def client_id(tenant: str) -> str:
    return f"client-{tenant}"


def rows(settings: Settings, seed: Seed) -> dict[str, dict[str, Any]]:
    """The tenant's rows by table, in DynamoDB's format."""
    refresh_expires_at = seed.connected_at + REFRESH_TOKEN_LIFETIME
    shared = {
        "tenant": seed.tenant,
        "status": Status.CONNECTED,
        "generation": 1,
        "version": 1,
        "next_refresh_at": seed.next_refresh_at,
    }
    tokens = shared | {
        "schema": SCHEMA,
        "access_token": seed.access_token,
        "token_type": "Bearer",
        "scope": "identity: cr.v1.read users.v1.read users.v1.lines.read",
        "issued_at": seed.connected_at,
        "expires_at": seed.expires_at,
        "refreshed_at": seed.connected_at,
        "connected_at": seed.connected_at,
        "principal": f"admin@{seed.tenant}.example",
        "account_key": "4000000001",
        "sequence": 1,
        "reconnect_by": refresh_expires_at,
        "usable": Usable.YES,
        "usable_checked_at": seed.connected_at,
    }
    grants = shared | {
        "fence": 0,
        "sequence": 1,
        "client_id": client_id(seed.tenant),
        "secret_version": SECRET_VERSION,
        "lane": lane(seed.tenant),
        "failures": 0,
        "refresh_token": seed.refresh_token,
        "refresh_issued_at": seed.connected_at,
        "refresh_expires_at": refresh_expires_at,
        "access_expires_at": seed.expires_at,
        "account_key": "4000000001",
        "probe_at": seed.connected_at + PROBE_EVERY,
    }
    tenants = {
        "tenant": seed.tenant,
        "display_name": f"{seed.tenant} Ltd",
        "admin_email": f"admin@{seed.tenant}.example",
        "redirect_uri": settings.redirect_uri(seed.tenant),
        "client_id": client_id(seed.tenant),
        "secret_version": SECRET_VERSION,
        "pinned_account": "4000000001",
        "sequence": 1,
    }
    return {
        settings.tokens_table: expressions.item(tokens),
        settings.grants_table: expressions.item(grants),
        settings.tenants_table: expressions.item(tenants),
    }


def write(client: Any, settings: Settings, seeds: Iterable[Seed]) -> None:
    """Put every row of every seed, several batches at a time."""
    batches, turn = _batches(settings, seeds), threading.Lock()

    def work() -> None:
        while left := _next(batches, turn):
            while left:
                left = client.batch_write_item(RequestItems=left)["UnprocessedItems"]

    with ThreadPoolExecutor(WRITERS) as pool:
        for writer in [pool.submit(work) for _ in range(WRITERS)]:
            writer.result()


def _next(batches: Iterator[Requests], turn: threading.Lock) -> Requests | None:
    with turn:
        return next(batches, None)


def _batches(settings: Settings, seeds: Iterable[Seed]) -> Iterator[Requests]:
    puts = (each for seed in seeds for each in rows(settings, seed).items())
    while batch := list(itertools.islice(puts, BATCH)):
        requests: Requests = {}
        for table, row in batch:
            requests.setdefault(table, []).append({"PutRequest": {"Item": row}})
        yield requests
