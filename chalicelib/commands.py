"""The rep's commands: which there are, what each needs, and how it answers.

An answer is ``{"ok": true, ...}`` or ``{"ok": false, "kind": ..., "error": one sentence}``.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.errors import DependencyUnavailable, InvalidInput, RepError

if TYPE_CHECKING:
    from chalicelib.onboard import Onboarding


def run(onboarding: "Onboarding", payload: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out one command. Never raises for what the rep gave; nothing is half done then."""
    try:
        name = _text(payload, "command")
        command = _COMMANDS.get(name)
        if command is None:
            raise InvalidInput("There is no such command.")
        return {"ok": True, **command(onboarding, payload)}
    except RepError as error:
        return {"ok": False, "kind": error.kind, "error": str(error)}
    except DependencyUnavailable as error:
        return {
            "ok": False,
            "kind": "unavailable",
            "error": f"AWS did not do its part ({error}). Nothing is lost; please try again.",
        }


def _tenant_add(onboarding: "Onboarding", payload: Mapping[str, Any]) -> dict[str, Any]:
    tenant = onboarding.add_tenant(
        _text(payload, "tenant"),
        _text(payload, "display_name"),
        _text(payload, "admin_email"),
        _text(payload, "by"),
    )
    return {"tenant": tenant.name, "redirect_uri": tenant.redirect_uri}


def _credentials_set(onboarding: "Onboarding", payload: Mapping[str, Any]) -> dict[str, Any]:
    tenant = _text(payload, "tenant")
    onboarding.set_credentials(
        tenant, _text(payload, "client_id"), _text(payload, "client_secret"), _text(payload, "by")
    )
    return {"tenant": tenant}


def _link_create(onboarding: "Onboarding", payload: Mapping[str, Any]) -> dict[str, Any]:
    tenant = _text(payload, "tenant")
    return {"tenant": tenant, "url": onboarding.create_link(tenant, _text(payload, "by"))}


def _intake_create(onboarding: "Onboarding", payload: Mapping[str, Any]) -> dict[str, Any]:
    tenant = _text(payload, "tenant")
    return {"tenant": tenant, "url": onboarding.create_intake_link(tenant, _text(payload, "by"))}


_COMMANDS: dict[str, Callable[["Onboarding", Mapping[str, Any]], dict[str, Any]]] = {
    "tenant_add": _tenant_add,
    "credentials_set": _credentials_set,
    "link_create": _link_create,
    "intake_create": _intake_create,
}


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"{name} is missing.")
    return value
