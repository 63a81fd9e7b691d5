"""The rep's commands: which there are, what each needs, and how it answers.

An answer is ``{"ok": true, ...}`` or ``{"ok": false, "kind": ..., "error": one sentence}``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.errors import DependencyUnavailable, InvalidInput, RepError
from chalicelib.model import Caller
from chalicelib.onboard import check_name

if TYPE_CHECKING:
    from chalicelib.disconnect import Disconnecting
    from chalicelib.doctor import Doctor
    from chalicelib.imports import Imports, Told
    from chalicelib.invitations import Invitations
    from chalicelib.onboard import Onboarding
    from chalicelib.overview import Overview

Payload = Mapping[str, Any]
Answer = dict[str, Any]

AT_ONCE = 25
"""Tenants that one call of `disconnect_all` looks at."""


@dataclass(frozen=True)
class Desk:
    """What a rep's commands act through. ``refresh`` has one tenant refreshed now."""

    onboarding: "Onboarding"
    invitations: "Invitations"
    disconnecting: "Disconnecting"
    overview: "Overview"
    imports: "Imports"
    refresh: Callable[[str, Caller], Answer]
    doctor: "Doctor"


Command = Callable[[Desk, Payload, Caller], Answer]


def run(desk: Desk, payload: Payload, identify: Callable[[], Caller]) -> Answer:
    """Carry out one command. Never raises for what the rep gave; nothing is half done then."""
    try:
        command = _COMMANDS.get(_text(payload, "command"))
        if command is None:
            raise InvalidInput("There is no such command.")
        return {"ok": True, **command(desk, payload, identify())}
    except RepError as error:
        return {"ok": False, "kind": error.kind, "error": str(error)}
    except DependencyUnavailable as error:
        return {
            "ok": False,
            "kind": "unavailable",
            "error": f"AWS did not do its part ({error}). Nothing is lost; please try again.",
        }


def _tenant_add(desk: Desk, payload: Payload, by: Caller) -> Answer:
    name, email = _tenant(payload), _text(payload, "admin_email")
    tenant = desk.onboarding.add_tenant(name, _text(payload, "display_name"), email, by)
    return {"tenant": tenant.name, "redirect_uri": tenant.redirect_uri}


def _tenant_change(desk: Desk, payload: Payload, by: Caller) -> Answer:
    changed = desk.onboarding.change_tenant(
        _tenant(payload),
        _given(payload, "display_name"),
        _given(payload, "admin_email"),
        by,
    )
    return {
        "tenant": changed.name,
        "display_name": changed.display_name,
        "admin_email": changed.admin_email,
    }


def _tenant_list(desk: Desk, payload: Payload, by: Caller) -> Answer:
    state, after = _given(payload, "state"), _given(payload, "after")
    if state is not None:
        return desk.overview.in_state(state, after)
    return desk.overview.listed(after)


def _tenant_show(desk: Desk, payload: Payload, by: Caller) -> Answer:
    return desk.overview.show(_tenant(payload))


def _tenant_remove(desk: Desk, payload: Payload, by: Caller) -> Answer:
    name = _tenant(payload)
    desk.disconnecting.remove(name, by)
    return {"tenant": name}


def _credentials_set(desk: Desk, payload: Payload, by: Caller) -> Answer:
    name = _tenant(payload)
    client_id, secret = _text(payload, "client_id"), _text(payload, "client_secret")
    desk.onboarding.check_client(name, client_id, secret)
    desk.onboarding.set_credentials(name, client_id, secret, by)
    return {"tenant": name}


def _link_create(desk: Desk, payload: Payload, by: Caller) -> Answer:
    name = _tenant(payload)
    return {"tenant": name, "url": desk.invitations.create_link(name, by)}


def _link_send(desk: Desk, payload: Payload, by: Caller) -> Answer:
    tenant = desk.invitations.send_link(_tenant(payload), by)
    return {"tenant": tenant.name, "admin_email": tenant.admin_email}


def _link_revoke(desk: Desk, payload: Payload, by: Caller) -> Answer:
    name = _tenant(payload)
    desk.invitations.revoke_links(name, by)
    return {"tenant": name}


def _intake_create(desk: Desk, payload: Payload, by: Caller) -> Answer:
    name = _tenant(payload)
    return {"tenant": name, "url": desk.invitations.create_intake_link(name, by)}


def _intake_send(desk: Desk, payload: Payload, by: Caller) -> Answer:
    tenant = desk.invitations.send_intake_link(_tenant(payload), by)
    return {"tenant": tenant.name, "admin_email": tenant.admin_email}


def _pin_lift(desk: Desk, payload: Payload, by: Caller) -> Answer:
    name = _tenant(payload)
    desk.onboarding.lift_pin(name, by)
    return {"tenant": name}


def _refresh(desk: Desk, payload: Payload, by: Caller) -> Answer:
    return desk.refresh(_tenant(payload), by)


def _disconnect(desk: Desk, payload: Payload, by: Caller) -> Answer:
    return asdict(desk.disconnecting.disconnect(_tenant(payload), by))


def _disconnect_all(desk: Desk, payload: Payload, by: Caller) -> Answer:
    stopped, after = desk.disconnecting.disconnect_all(_given(payload, "after"), AT_ONCE, by)
    return {"disconnected": stopped, "after": after}


def _import_check(desk: Desk, payload: Payload, by: Caller) -> Answer:
    return _lines_told(desk.imports.check(_lines(payload)))


def _import_lines(desk: Desk, payload: Payload, by: Caller) -> Answer:
    return _lines_told(desk.imports.take_over(_lines(payload), by))


def _export(desk: Desk, payload: Payload, by: Caller) -> Answer:
    return desk.overview.exported(_given(payload, "after"))


def _status(desk: Desk, payload: Payload, by: Caller) -> Answer:
    return desk.overview.status()


def _doctor(desk: Desk, payload: Payload, by: Caller) -> Answer:
    return desk.doctor.examine()


_COMMANDS: dict[str, Command] = {
    "tenant_add": _tenant_add,
    "tenant_change": _tenant_change,
    "tenant_list": _tenant_list,
    "tenant_show": _tenant_show,
    "tenant_remove": _tenant_remove,
    "credentials_set": _credentials_set,
    "link_create": _link_create,
    "link_send": _link_send,
    "link_revoke": _link_revoke,
    "intake_create": _intake_create,
    "intake_send": _intake_send,
    "pin_lift": _pin_lift,
    "refresh": _refresh,
    "disconnect": _disconnect,
    "disconnect_all": _disconnect_all,
    "import_check": _import_check,
    "import_lines": _import_lines,
    "export": _export,
    "status": _status,
    "doctor": _doctor,
}


def _text(payload: Payload, name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"{name} is missing.")
    return value


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


def _lines_told(lines: "Sequence[Told]") -> Answer:
    return {"lines": [line.to_dict() for line in lines]}
