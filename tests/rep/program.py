"""The rep's program as it ran once: its code, and what it said."""

import json
from collections.abc import Callable
from typing import Any

SECRET = "canary-secret"


RAN = "ran"


class Ran:
    """One run of the program."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


def is_one_sentence(ran: Ran, code: int) -> None:
    assert ran.code == code, ran.err
    assert len(ran.err.strip().splitlines()) == 1, ran.err
    assert ran.err.strip()
    assert "Traceback" not in ran.err


def add(run: Run, name: str = "acme") -> Ran:
    return run("tenant", "add", name, "--admin-email", f"admin@{name}.example")


HEADER = "tenant,display_name,admin_email,client_id,client_secret,refresh_token\n"


def row(number: int, **changed: str) -> str:
    values = {
        "tenant": f"t{number}",
        "display_name": f"Tenant {number}",
        "admin_email": f"a@t{number}.example",
        "client_id": f"id-{number}",
        "client_secret": SECRET,
        "refresh_token": f"canary-refresh-{number}",
    }
    return ",".join((values | changed).values()) + "\n"
