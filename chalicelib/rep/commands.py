"""The rep's commands: their names, what each needs, and how it answers.

Read-only commands opt out of the proof of who calls (S32), so a new command is protected.

An answer is ``{"ok": true, ...}`` or ``{"ok": false, "kind": ..., "error": one sentence}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.connect.invitations import Invitations
from chalicelib.errors import CallerRefused, DependencyUnavailable, InvalidInput, RepError
from chalicelib.models import DETAILS, Actor, LinkKind
from chalicelib.rep.bulk_import import BulkImport, LineResult, read_details
from chalicelib.rep.disconnect_and_remove import Disconnecting
from chalicelib.rep.health_check import Doctor
from chalicelib.rep.onboarding import ADDRESSES, Onboarding, check_name
from chalicelib.rep.reports import Overview
from chalicelib.rep.retrying import Retrying
from chalicelib.untrusted_text import pasted

Payload = Mapping[str, Any]
Answer = dict[str, Any]

AT_ONCE = 25
"""Tenants per call of `disconnect_all` and `retry_since`."""

_NO_PROOF = "This command needs proof of who you are: run it with ha-goto, logged in to AWS."


@dataclass(frozen=True)
class Desk:
    """What the commands act through. ``refresh`` refreshes a tenant now; ``facts`` compares GoTo's
    answers to its client with our assumptions."""

    onboarding: Onboarding
    invitations: Invitations
    disconnecting: Disconnecting
    overview: Overview
    bulk_import: BulkImport
    retrying: Retrying
    refresh: Callable[[str, Actor], Answer]
    facts: Callable[[str, Actor], Answer]
    doctor: Doctor


@dataclass(frozen=True, slots=True)
class Command:
    """``proof_required``: refuse a caller who has not proved who they are."""

    run: Callable[[Desk, Payload, Actor], Answer]
    proof_required: bool = True


def run(desk: Desk, payload: Payload, identify: Callable[[], Actor]) -> Answer:
    """Carry out one command. Invalid input never raises, and changes nothing."""
    try:
        command = _COMMANDS.get(_text(payload, "command"))
        if command is None:
            raise InvalidInput("There is no such command.")
        by = identify()
        if command.proof_required and not by.proved:
            raise CallerRefused(_NO_PROOF)
        return {"ok": True, **command.run(desk, payload, by)}
    except RepError as error:
        return {"ok": False, "kind": error.kind, "error": str(error)}
    except DependencyUnavailable as error:
        return {
            "ok": False,
            "kind": "unavailable",
            "error": f"AWS failed ({error}). Nothing was lost; please try again.",
        }


def _tenant_add(desk: Desk, payload: Payload, by: Actor) -> Answer:
    tenant = desk.onboarding.add_tenant(
        _tenant(payload), read_details(payload), by, _given(payload, "account_key")
    )
    return {"tenant": tenant.name, "redirect_uri": tenant.redirect_uri}


def _tenant_change(desk: Desk, payload: Payload, by: Actor) -> Answer:
    changed = desk.onboarding.change_tenant(
        _tenant(payload),
        {name: _detail(payload, name) for name in DETAILS if payload.get(name) is not None},
        by,
    )
    return {
        "tenant": changed.name,
        **changed.details,
        "links_revoked": any(payload.get(name) is not None for name in ADDRESSES),
    }


def _tenant_list(desk: Desk, payload: Payload, by: Actor) -> Answer:
    state, after = _given(payload, "state"), _given(payload, "after")
    if state is not None:
        return desk.overview.in_state(state, after)
    return desk.overview.listed(after)


def _tenant_find(desk: Desk, payload: Payload, by: Actor) -> Answer:
    return desk.overview.found(_text(payload, "text"), _given(payload, "after"))


def _tenant_show(desk: Desk, payload: Payload, by: Actor) -> Answer:
    return desk.overview.show(_tenant(payload))


def _tenant_remove(desk: Desk, payload: Payload, by: Actor) -> Answer:
    name = _tenant(payload)
    desk.disconnecting.remove(name, by)
    return {"tenant": name}


def _credentials_set(desk: Desk, payload: Payload, by: Actor) -> Answer:
    name = _tenant(payload)
    client_id, secret = pasted(_text(payload, "client_id")), pasted(_text(payload, "client_secret"))
    desk.onboarding.check_client(name, client_id, secret)
    desk.onboarding.set_credentials(name, client_id, secret, by)
    return {"tenant": name}


def _link_create(desk: Desk, payload: Payload, by: Actor) -> Answer:
    name = _tenant(payload)
    url = desk.invitations.create_link(name, by)
    return {"tenant": name, "url": url, "expires_at": desk.invitations.expiry(LinkKind.CONNECT)}


def _link_send(desk: Desk, payload: Payload, by: Actor) -> Answer:
    name = _tenant(payload)
    desk.onboarding.check_connectable(name, anyway=payload.get("anyway") is True)
    tenant = desk.invitations.send_link(name, by)
    return {"tenant": tenant.name, "admin_email": tenant.admin_email}


def _link_revoke(desk: Desk, payload: Payload, by: Actor) -> Answer:
    name = _tenant(payload)
    desk.invitations.revoke_links(name, by)
    return {"tenant": name}


def _intake_create(desk: Desk, payload: Payload, by: Actor) -> Answer:
    name = _tenant(payload)
    url = desk.invitations.create_intake_link(name, by)
    return {"tenant": name, "url": url, "expires_at": desk.invitations.expiry(LinkKind.INTAKE)}


def _intake_send(desk: Desk, payload: Payload, by: Actor) -> Answer:
    tenant = desk.invitations.send_intake_link(_tenant(payload), by)
    return {"tenant": tenant.name, "admin_email": tenant.admin_email}


def _pin_set(desk: Desk, payload: Payload, by: Actor) -> Answer:
    name, account = _tenant(payload), _text(payload, "account")
    desk.onboarding.set_pin(name, account, by)
    return {"tenant": name, "account": account}


def _pin_share(desk: Desk, payload: Payload, by: Actor) -> Answer:
    name, account = _tenant(payload), _text(payload, "account")
    desk.onboarding.share_pin(name, account, by)
    return {"tenant": name, "account": account}


def _pin_lift(desk: Desk, payload: Payload, by: Actor) -> Answer:
    name = _tenant(payload)
    desk.onboarding.lift_pin(name, by)
    return {"tenant": name}


def _facts(desk: Desk, payload: Payload, by: Actor) -> Answer:
    return desk.facts(_tenant(payload), by)


def _refresh(desk: Desk, payload: Payload, by: Actor) -> Answer:
    return desk.refresh(_tenant(payload), by)


def _retry(desk: Desk, payload: Payload, by: Actor) -> Answer:
    name = _tenant(payload)
    desk.retrying.retry(name, by)
    return {"tenant": name}


def _retry_since(desk: Desk, payload: Payload, by: Actor) -> Answer:
    since = payload.get("ended_since")
    if not isinstance(since, int) or isinstance(since, bool) or since < 0:
        raise InvalidInput("ended_since must be a time in epoch seconds.")
    put_back, after = desk.retrying.retry_since(since, _given(payload, "after"), AT_ONCE, by)
    return {"retried": put_back, "after": after}


def _disconnect(desk: Desk, payload: Payload, by: Actor) -> Answer:
    stopped = desk.disconnecting.disconnect(_tenant(payload), by)
    return {"tenant": stopped.tenant, "withdrawn": stopped.revoked}


def _disconnect_all(desk: Desk, payload: Payload, by: Actor) -> Answer:
    stopped, after = desk.disconnecting.disconnect_all(_given(payload, "after"), AT_ONCE, by)
    return {"disconnected": stopped, "after": after}


def _import_check(desk: Desk, payload: Payload, by: Actor) -> Answer:
    return _lines_told(desk.bulk_import.check(_lines(payload)))


def _import_lines(desk: Desk, payload: Payload, by: Actor) -> Answer:
    return _lines_told(desk.bulk_import.take_over(_lines(payload), by))


def _export(desk: Desk, payload: Payload, by: Actor) -> Answer:
    return desk.overview.exported(_given(payload, "after"))


def _status(desk: Desk, payload: Payload, by: Actor) -> Answer:
    return desk.overview.status()


def _doctor(desk: Desk, payload: Payload, by: Actor) -> Answer:
    return desk.doctor.examine()


_COMMANDS: dict[str, Command] = {
    "tenant_add": Command(_tenant_add),
    "tenant_change": Command(_tenant_change),
    "tenant_list": Command(_tenant_list, proof_required=False),
    "tenant_find": Command(_tenant_find, proof_required=False),
    "tenant_show": Command(_tenant_show, proof_required=False),
    "tenant_remove": Command(_tenant_remove),
    "credentials_set": Command(_credentials_set),
    "link_create": Command(_link_create),
    "link_send": Command(_link_send),
    "link_revoke": Command(_link_revoke),
    "intake_create": Command(_intake_create),
    "intake_send": Command(_intake_send),
    "pin_set": Command(_pin_set),
    "pin_share": Command(_pin_share),
    "pin_lift": Command(_pin_lift),
    "refresh": Command(_refresh),
    "facts": Command(_facts),
    "retry": Command(_retry),
    "retry_since": Command(_retry_since),
    "disconnect": Command(_disconnect),
    "disconnect_all": Command(_disconnect_all),
    "import_check": Command(_import_check, proof_required=False),
    "import_lines": Command(_import_lines),
    "export": Command(_export, proof_required=False),
    "status": Command(_status, proof_required=False),
    "doctor": Command(_doctor, proof_required=False),
}


def _text(payload: Payload, name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"{name} is missing.")
    return value


def _detail(payload: Payload, name: str) -> str:
    """Like `_text`, but may be empty: that clears an optional detail."""
    return "" if payload[name] == "" else _text(payload, name)


def _tenant(payload: Payload) -> str:
    name = _text(payload, "tenant")
    check_name(name)
    return name


def _given(payload: Payload, name: str) -> str | None:
    return None if payload.get(name) is None else _text(payload, name)


def _lines(payload: Payload) -> Sequence[Payload]:
    lines = payload.get("lines")
    if not isinstance(lines, list) or not all(isinstance(line, Mapping) for line in lines):
        raise InvalidInput("lines is missing.")
    return lines


def _lines_told(lines: Sequence[LineResult]) -> Answer:
    return {"lines": [line.to_dict() for line in lines]}
