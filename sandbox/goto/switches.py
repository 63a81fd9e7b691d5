"""The switches: everything about the sandbox GoTo that a test or an operator may turn.

Frozen values that check themselves. They decide nothing: `token_rules` and `server` do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Rotation = Literal["late", "always", "never"]
ExpiredForm = Literal["invalid_grant", "invalid_request"]
ClientAuth = Literal["raw", "rfc6749"]
AccountOrder = Literal["listed", "reversed", "shuffled"]
MissingScope = Literal["refuse", "narrow"]
BoxesApply = Literal["new_grants", "at_once"]
Charset = Literal["utf-8", "iso-8859-1"]
RefusalForm = Literal["plain", "ok", "errors", "upper_case", "other_words", "long"]
RefuseGood = Literal["invalid_grant", "invalid_client", "invalid_request"]

OMITTABLE = frozenset({"token_type", "refresh_token", "scope", "principal", "loa"})
_DAY = 86_400


class SwitchError(ValueError):
    """A switch that does not exist, or a value it cannot take."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What one token request meets instead of its plain answer.

    `status` 0 closes the connection without an answer; None keeps the true answer, so that with
    `delay` (seconds, at most: the console may release it) it is merely slow. With `after` the
    request is processed first and only the answer is replaced or held back; without it, the delay
    comes first and a status other than None keeps the request from being processed at all.
    `grant_type` waits for a request of that kind and lets others pass.
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

    Lifetimes and the grace are seconds; `rate_per_second` counts requests per API. A scope that the
    client has no box for is refused at authorize, or left out of the grant (`missing_scope`). A box
    that is unticked later leaves old grants alone, or takes the scope from them (`boxes_apply`).

    The last ones imitate other servers, and GoTo's bad hours: `echo_refresh_token` returns an
    unchanged refresh token, `told_lifetime` is the `expires_in` that is told whatever the token
    lives, `refuse_good` refuses every token request with that error, good or not, `revocation_page`
    is the status of the page that a proxy answers revocations with, `authorize_error` fails every
    sign-in.
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
    account_order: AccountOrder = "listed"
    names_readable: bool = True
    missing_scope: MissingScope = "refuse"
    boxes_apply: BoxesApply = "new_grants"
    tells_redirect_uri: bool = True
    require_pkce: bool = True
    client_auth: ClientAuth = "raw"
    rate_per_second: int | None = None
    echo_refresh_token: bool = False
    success_status: int = 200
    answer_charset: Charset = "utf-8"
    padded_tokens: bool = False
    told_lifetime: int | None = None
    tell_refresh_lifetime: bool = False
    refusal_form: RefusalForm = "plain"
    refuse_good: RefuseGood | None = None
    revocation_page: int | None = None
    retry_after: str | None = None
    authorize_error: str | None = None
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


def _or_none(check: Check) -> Check:
    return lambda name, value: None if value is None else check(name, value)


def _whole_or_none(name: str, value: Any) -> int | None:
    if value is not None and not _is_whole(value):
        raise SwitchError(f"{name} is a whole number or null, not {value!r}")
    return None if value is None else int(value)


def _success_status(name: str, value: Any) -> int:
    if not _is_whole(value) or not 200 <= value <= 299:
        raise SwitchError(f"{name} is an HTTP status from 200 to 299, not {value!r}")
    return int(value)


def _page_status(name: str, value: Any) -> int:
    if not _is_whole(value) or not 200 <= value <= 599:
        raise SwitchError(f"{name} is an HTTP status from 200 to 599 or null, not {value!r}")
    return int(value)


def _header(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise SwitchError(f"{name} is seconds or an HTTP date, as text, not {value!r}")
    return value


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
    "account_order": _one_of("listed", "reversed", "shuffled"),
    "names_readable": _flag,
    "missing_scope": _one_of("refuse", "narrow"),
    "boxes_apply": _one_of("new_grants", "at_once"),
    "tells_redirect_uri": _flag,
    "require_pkce": _flag,
    "client_auth": _one_of("raw", "rfc6749"),
    "rate_per_second": _positive_or_none,
    "echo_refresh_token": _flag,
    "success_status": _success_status,
    "answer_charset": _one_of("utf-8", "iso-8859-1"),
    "padded_tokens": _flag,
    "told_lifetime": _whole_or_none,
    "tell_refresh_lifetime": _flag,
    "refusal_form": _one_of("plain", "ok", "errors", "upper_case", "other_words", "long"),
    "refuse_good": _or_none(_one_of("invalid_grant", "invalid_client", "invalid_request")),
    "revocation_page": _or_none(_page_status),
    "retry_after": _or_none(_header),
    "authorize_error": _or_none(_error_code),
    "fail_next": _failures,
}
