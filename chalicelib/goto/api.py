"""Reads answers of GoTo's API: which accounts a person has, and whether a read is allowed.

Pure, no I/O. Only a clear refusal by the API itself means no: a gateway's page, an outage or a rate
limit says nothing about a permission (F33).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from chalicelib import untrusted_text
from chalicelib.goto.oauth import Answer
from chalicelib.goto.token_response import json_object
from chalicelib.permissions import GoToAccount, Usable

USERS_ME = "/users/v1/me"
SCIM_ME = "/identity/v1/Users/me"
ADMIN_ME = "/admin/rest/v1/me"
USER_ACTIVITY = "/call-reports/v1/reports/user-activity"

SCIM_EXTENSION = "urn:scim:schemas:extension:getgo:1.0"

MOST_ACCOUNTS = 100
"""Most accounts read of one person: more than anybody chooses from."""

_SCOPE_CODE = "AUTHZ_INSUFFICIENT_SCOPE"


def accounts(answer: Answer) -> tuple[GoToAccount, ...] | None:
    """The accounts in an answer of any of the three *who am I* addresses; None if it has none that
    can be read. An empty list is an answer: the person was removed from every account."""
    rows = _rows(json_object(answer.body)) if answer.status == 200 else None
    if rows is None:
        return None
    found = {account.key: account for account in _read(rows[:MOST_ACCOUNTS])}
    return tuple(found.values()) if found or not rows else None


def named(keys: Iterable[GoToAccount], names: Iterable[GoToAccount]) -> tuple[GoToAccount, ...]:
    """The accounts of ``keys``, with the names that ``names`` has for them."""
    name_of = {each.key: each.name for each in names}
    return tuple(GoToAccount(each.key, name_of.get(each.key) or each.name) for each in keys)


def usable(answer: Answer) -> Usable:
    """What an answer of call reports shows about the permission."""
    if answer.status == 200:
        return Usable.YES if json_object(answer.body) else Usable.UNKNOWN
    code = json_object(answer.body).get("errorCode")
    if answer.status not in (403, 409) or not isinstance(code, str):
        return Usable.UNKNOWN
    return Usable.SCOPE_MISSING if code == _SCOPE_CODE else Usable.FORBIDDEN


def cheapest_read(now: float, account: str | None) -> str:
    """Path and query of a minimal read: one row of the last minute's call report. ``now`` is in
    epoch seconds."""
    end = datetime.fromtimestamp(int(now), UTC)
    query = {
        "startTime": (end - timedelta(minutes=1)).isoformat(),
        "endTime": end.isoformat(),
        "page": "0",
        "pageSize": "1",
    }
    if account is not None:
        query["accountKey"] = account
    return f"{USER_ACTIVITY}?{urlencode(query)}"


def _rows(body: dict[str, Any]) -> list[Any] | None:
    if "items" in body:
        rows = body["items"]
    elif "accounts" in body:
        rows = body["accounts"]
    else:
        extension = body.get(SCIM_EXTENSION)
        rows = extension.get("accounts") if isinstance(extension, dict) else None
    return rows if isinstance(rows, list) else None


def _read(rows: Iterable[Any]) -> Iterator[GoToAccount]:
    for row in rows:
        if not isinstance(row, dict):
            continue
        value = next((row[name] for name in ("accountKey", "key", "value") if name in row), None)
        key = untrusted_text.account_key(value)
        if key is not None:
            yield GoToAccount(key, untrusted_text.principal(row.get("name") or row.get("display")))
