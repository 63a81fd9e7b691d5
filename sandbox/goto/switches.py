"""The switches: everything about the sandbox GoTo that a test or an operator may turn.

Frozen values that check themselves. They decide nothing: `rules` and `server` do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Rotation = Literal["late", "always", "never"]
ExpiredForm = Literal["invalid_grant", "invalid_request"]
ClientAuth = Literal["raw", "rfc6749"]

OMITTABLE = frozenset({"token_type", "refresh_token", "scope", "principal", "loa"})
_DAY = 86_400


class SwitchError(ValueError):
    """A switch that does not exist, or a value it cannot take."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What one token request meets instead of its plain answer.

    `status` 0 closes the connection without an answer; None keeps the true answer, so that with
    `delay` (seconds) it is merely slow. With `after` the request is processed first and only the
    answer is replaced or held back; without it, the delay comes first and a status other than
    None keeps the request from being processed at all. `grant_type` waits for a request of that
    kind and lets others pass.
    """

    status: int | None = 503
    body: str = ""
    content_type: str = "text/html"
    delay: float = 0.0
    after: bool = False
    grant_type: str | None = None

    def __post_init__(self) -> None:
        if not _is_status(self.status):
            raise SwitchError("fail_next: status is 0, null, or an HTTP status from 200 to 599")
        if not isinstance(self.body, str) or not isinstance(self.content_type, str):
            raise SwitchError("fail_next: body and content_type are strings")
        if any(ord(character) < 32 for character in self.content_type):
            raise SwitchError("fail_next: content_type holds no control characters")
        if not _is_number(self.delay) or not 0 <= self.delay <= _DAY:
            raise SwitchError("fail_next: delay is a number of seconds, 0 or more")
        if not isinstance(self.after, bool):
            raise SwitchError("fail_next: after is true or false")
        if self.grant_type not in (None, "authorization_code", "refresh_token"):
            raise SwitchError("fail_next: grant_type is authorization_code or refresh_token")


@dataclass(frozen=True, slots=True)
class Switches:
    """How this GoTo behaves just now; the defaults are GoTo as public sources tell it.

    Lifetimes and the grace are seconds; `rate_per_second` counts requests per API.
    """

    access_token_lifetime: int = 3_600
    refresh_token_lifetime: int = 2_592_000
    rotation: Rotation = "late"
    rotation_grace: float = 0.0
    omit: frozenset[str] = frozenset()
    expires_in_as_string: bool = False
    expired_form: ExpiredForm = "invalid_grant"
    deny_error: str = "access_denied"
    send_iss: str | None = None
    account_readable: bool = True
    require_pkce: bool = True
    client_auth: ClientAuth = "raw"
    rate_per_second: int | None = None
    fail_next: tuple[Failure, ...] = field(default=())

    def __post_init__(self) -> None:
        for name, check in _CHECKS.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))

    def changed(self, /, **changes: object) -> Switches:
        """Return these switches with some turned; JSON's lists and objects are understood.

        Raises `SwitchError` for a name that does not exist or a value that a switch cannot take.
        """
        unknown = sorted(set(changes) - set(_CHECKS))
        if unknown:
            raise SwitchError(
                f"there is no switch {unknown[0]!r}; the switches are: {', '.join(sorted(_CHECKS))}"
            )
        values: dict[str, Any] = dict(changes)
        return dataclasses.replace(self, **values)

    def as_json(self) -> dict[str, object]:
        """Return the switches in the form that `changed` and the control route take."""
        values = {name: getattr(self, name) for name in _CHECKS}
        values["omit"] = sorted(self.omit)
        values["fail_next"] = [dataclasses.asdict(failure) for failure in self.fail_next]
        return values


Check = Callable[[str, Any], Any]


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_status(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int) and _is_whole(value) and (value == 0 or 200 <= value <= 599)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _positive(name: str, value: Any) -> int:
    if not _is_whole(value) or value < 1:
        raise SwitchError(f"{name} is a whole number of 1 or more, not {value!r}")
    return int(value)


def _positive_or_none(name: str, value: Any) -> int | None:
    return None if value is None else _positive(name, value)


def _seconds(name: str, value: Any) -> float:
    if not _is_number(value) or not 0 <= value < float("inf"):
        raise SwitchError(f"{name} is a number of seconds, 0 or more, not {value!r}")
    return float(value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise SwitchError(f"{name} is true or false, not {value!r}")
    return value


def _one_of(*allowed: str) -> Check:
    def check(name: str, value: Any) -> str:
        if value not in allowed:
            raise SwitchError(f"{name} is one of {', '.join(allowed)}, not {value!r}")
        return str(value)

    return check


def _error_code(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.isidentifier():
        raise SwitchError(f"{name} is an OAuth error code such as access_denied, not {value!r}")
    return value


def _text_or_none(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise SwitchError(f"{name} is a string or null, not {value!r}")
    return value


def _fields(name: str, value: Any) -> frozenset[str]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise SwitchError(f"{name} is a list of fields, not {value!r}")
    names = list(value)
    for one in names:
        if not isinstance(one, str) or one not in OMITTABLE:
            raise SwitchError(f"{name} knows {', '.join(sorted(OMITTABLE))}, not {one!r}")
    return frozenset(names)


def _failures(name: str, value: Any) -> tuple[Failure, ...]:
    if not isinstance(value, (list, tuple)):
        raise SwitchError(f"{name} is a list of failures, not {value!r}")
    return tuple(_failure(name, one) for one in value)


def _failure(name: str, value: Any) -> Failure:
    if isinstance(value, Failure):
        return value
    known = {one.name for one in dataclasses.fields(Failure)}
    if not isinstance(value, Mapping) or not set(value) <= known:
        raise SwitchError(f"{name}: a failure has {', '.join(sorted(known))}, not {value!r}")
    return Failure(**value)


_CHECKS: dict[str, Check] = {
    "access_token_lifetime": _positive,
    "refresh_token_lifetime": _positive,
    "rotation": _one_of("late", "always", "never"),
    "rotation_grace": _seconds,
    "omit": _fields,
    "expires_in_as_string": _flag,
    "expired_form": _one_of("invalid_grant", "invalid_request"),
    "deny_error": _error_code,
    "send_iss": _text_or_none,
    "account_readable": _flag,
    "require_pkce": _flag,
    "client_auth": _one_of("raw", "rfc6749"),
    "rate_per_second": _positive_or_none,
    "fail_next": _failures,
}
