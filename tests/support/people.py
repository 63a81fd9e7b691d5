"""GoTo where each person has an account of their own: whose a token is goes by who allowed it."""

import json
from typing import Any

from chalicelib.goto.oauth import Answer
from chalicelib.models import ClientCredentials, Reason
from chalicelib.permissions import GoToAccount
from tests.support.stubs import ObedientGoTo
from tests.support.world import World

ADMIN, RIVAL, OTHER, THIRD = PEOPLE = ("admin", "rival", "other", "third")
ACCOUNTS = {who: f"400000000{number}" for number, who in enumerate(PEOPLE, 1)}


def principal(who: str) -> str:
    return f"{who}@{ACCOUNTS[who]}.example"


class PeoplesGoTo(ObedientGoTo):
    """A code is the name of who pressed Allow. ``readable``: the account API answers."""

    def __init__(self) -> None:
        super().__init__()
        self.owners: dict[str, str] = {}
        self.readable = True
        self.looked_up = 0

    def token(self, client: ClientCredentials, form: dict[str, str]) -> Answer:
        answer = super().token(client, form)
        if answer.status != 200:
            return answer
        who = form.get("code") or self.owners.get(form["refresh_token"], ADMIN)
        body = json.loads(answer.body) | {"principal": principal(who)}
        self.owners |= {
            body[name]: who for name in ("access_token", "refresh_token") if name in body
        }
        return Answer(200, json.dumps(body).encode())

    def accounts(self, access_token: str) -> tuple[GoToAccount, ...] | None:
        self.looked_up += 1
        known = (GoToAccount(ACCOUNTS[self.owners[access_token]]),)
        return known if self.readable else None


def moved_in(world: World) -> PeoplesGoTo:
    """Give the world such a GoTo."""
    world.goto = goto = PeoplesGoTo()
    return goto


def imported(world: World, **changed: Any) -> str:
    """Acme, taken over from another program with the admin's own tokens; its link."""
    line = {
        "line": 2,
        "tenant": "acme",
        "display_name": "Acme Ltd",
        "admin_email": "admin@acme.example",
        "client_id": "id-acme",
        "client_secret": "a-secret",
        "refresh_token": "refresh-of-acme",
    }
    [told] = world.rep("import_lines", lines=[line | changed])["lines"]
    assert told["done"], told
    return link(world, told["tenant"])


def link(world: World, tenant: str = "acme") -> str:
    return str(world.rep("link_create", tenant=tenant)["url"]).rsplit("/", 1)[1]


def sign_in(world: World, link: str, who: str) -> Reason | None:
    """Somebody goes the whole way with a link; how it ended."""
    begin(world, link, who)
    [reason] = world.complete()
    return reason


def begin(world: World, link: str, who: str) -> None:
    """The same up to GoTo's redirect; `World.complete` goes on."""
    visitor = world.browser(link)
    world.come_back(visitor, state=world.start(visitor)["state"], code=who)


def refresh(world: World) -> None:
    world.pass_until_due()
    world.tick()
