"""How a token answer looks on the wire: the same decision, in the forms that real servers give it.

Pure. `server` sends what comes out of here, and the simulated year reads it: both imitate the same
GoTo. Nothing is decided here; whether a request is granted is for `token_rules`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from sandbox.goto.switches import RefuseGood, Switches
from sandbox.goto.token_rules import EXPIRED, REVOKED, Refusal

LONG_WORDS = "L'autorisation n'est plus valable.\r\n\tTrace ID: 1\r\n" + "x" * 3_950
"""A description of 4,000 characters with CR LF and a tab, as Azure's servers send them."""

OTHER_WORDS = "The token request is invalid."
"""How an expired refresh token may be refused as well; nothing in it names the reason."""

PROXY_PAGE = b"<html><head><title>Sign in</title></head><body>Unauthorized</body></html>"
"""What a proxy before GoTo answers in its place."""

WRONGLY: dict[RefuseGood, tuple[int, Refusal]] = {
    "invalid_grant": (400, REVOKED),
    "invalid_client": (401, Refusal("invalid_client", "client not found")),
    "invalid_request": (400, EXPIRED["invalid_request"]),
}
"""Refusals of what is good: status and error, by the value of the switch."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def shaped(
    status: int,
    fields: dict[str, Any],
    switches: Switches,
    *,
    presented: str | None = None,
    refresh_life: float | None = None,
) -> Shaped:
    """Give an answer the form that the switches ask for.

    ``presented``: the refresh token that was shown, which an echo brings back; ``refresh_life``:
    seconds that the refresh token in use still lives.
    """
    if status >= 400:
        status, fields = _refusal(status, fields, switches)
    else:
        status, fields = switches.success_status, _success(fields, switches, presented)
        if switches.tell_refresh_lifetime and refresh_life is not None:
            fields["refresh_token_expires_in"] = int(refresh_life)
    headers = {}
    if switches.retry_after is not None and status in (429, 503):
        headers["Retry-After"] = switches.retry_after
    return Shaped(status, _encoded(fields, switches), headers)


def wrongly_refused(switches: Switches) -> Shaped | None:
    """The refusal that even a good grant or client gets just now; None where GoTo is well."""
    if switches.refuse_good is None:
        return None
    status, refusal = WRONGLY[switches.refuse_good]
    fields = {"error": refusal.error, "error_description": refusal.description}
    return shaped(status, fields, switches)


def _success(fields: dict[str, Any], switches: Switches, presented: str | None) -> dict[str, Any]:
    fields = dict(fields)
    if switches.echo_refresh_token and presented and "refresh_token" not in fields:
        fields["refresh_token"] = presented
    if switches.told_lifetime is not None:
        fields["expires_in"] = switches.told_lifetime
    if switches.padded_tokens:
        for name in ("access_token", "refresh_token"):
            if name in fields:
                fields[name] = f" {fields[name]}\r\n"
    if switches.answer_charset != "utf-8":
        fields["name"] = "Andr\u00e9"
    return fields


def _refusal(status: int, fields: dict[str, Any], switches: Switches) -> tuple[int, dict[str, Any]]:
    error = fields.get("error")
    match switches.refusal_form:
        case "ok":
            return 200, fields
        case "errors":
            return status, {"errors": [{"code": error, "message": "refused"}]}
        case "upper_case":
            return status, fields | {"error": str(error).upper()}
        case "long":
            return status, fields | {"error_description": LONG_WORDS}
        case "other_words" if error == "invalid_grant":
            return 400, {"error": "invalid_request", "error_description": OTHER_WORDS}
    return status, fields


def _encoded(fields: dict[str, Any], switches: Switches) -> bytes:
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    if switches.refusal_form == "long":
        text = text.replace("\\r\\n\\t", "\r\n\t")  # raw control characters, which JSON forbids
    return text.encode(switches.answer_charset)
