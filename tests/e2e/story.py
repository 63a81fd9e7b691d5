"""The admin before the browser: opens the link, logs in to GoTo, presses what there is to press."""

import hashlib
import itertools
import re
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from playwright.sync_api import Browser, Error, Page, expect

from chalicelib import opaque
from chalicelib.durations import CONFIRM_ALONE, OUTBOUND_READ_TIMEOUT
from chalicelib.models import STREAM
from sandbox import tenants
from sandbox.cloud import LocalCloud
from sandbox.settings import Client

PAGE = "/admin/settings/activities/"
PROCESSING = (
    "The API credentials for your Jive / GoTo account are being processed. "
    "Please be patient and the page will reload when completed."
)
ADMIN = "admin@acme.example"
ACCOUNT = "4000000001"
"""The sandbox's GoTo account of that admin."""
REP = "assumed-role/Reps/ann"
LOCAL_REP = "root"
"""What the local STS calls everybody."""
DAY = 86_400
PASSWORD = "practice"

T = TypeVar("T")

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Tenant:
    """A tenant of the local cloud, with the link that was mailed."""

    cloud: LocalCloud
    name: str
    link: str

    @property
    def address(self) -> str:
        """The clean address of its settings page."""
        return self.cloud.origin(self.name) + PAGE

    def row(self, table: str) -> dict[str, Any]:
        """Its row as it stands in DynamoDB."""
        found = self.cloud.aws.dynamodb.get_item(
            TableName=self.cloud.tables[table],
            Key={"tenant": {"S": self.name}},
            ConsistentRead=True,
        )
        return dict(found.get("Item", {}))


def new_name() -> str:
    """A tenant's name that no other test has."""
    return f"tenant-{next(_numbers)}"


def new_tenant(cloud: LocalCloud, name: str = "", display_name: str = "") -> Tenant:
    """A tenant with a client at the sandbox's GoTo, and a fresh link."""
    name = name or new_name()
    link = tenants.onboard(cloud, name, display_name or f"{name} Ltd", f"admin@{name}.example")
    share_account(cloud, name)
    return Tenant(cloud, name, link)


def share_account(cloud: LocalCloud, name: str) -> None:
    """All tenants sign in as the same admin: where another has that account, they share it."""
    cloud.rep("pin_share", tenant=name, account=ACCOUNT)


def new_page(browser: Browser, **options: Any) -> Page:
    """A browser without any cookies."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(20_000)
    return page


def press(page: Page) -> None:
    """Get Access Token."""
    page.get_by_role("button", name="Get Access Token").click()


def log_in(page: Page, email: str = ADMIN) -> None:
    """GoTo's login page."""
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def allow(page: Page) -> None:
    """GoTo's consent page."""
    page.get_by_role("button", name="Allow").click()


def token(page: Page) -> str:
    """What the read-only field holds, once there is something in it."""
    field = page.get_by_label("GoTo Access Token")
    expect(field).not_to_have_value("")
    assert not field.is_editable()
    return field.input_value()


def new_client(cloud: LocalCloud, tenant: str = "acme") -> tuple[str, str]:
    """A client at the sandbox's GoTo, as the customer makes it in the portal: id and secret."""
    client = Client(str(uuid.uuid4()), secrets.token_urlsafe(32) + "+/=")
    cloud.register(client, tenant)
    return client.client_id, client.client_secret


def enter_client(page: Page, client_id: str, client_secret: str) -> None:
    """The form of the credential intake."""
    page.get_by_label("Client ID").fill(client_id)
    page.get_by_label("Client secret").fill(client_secret)
    page.get_by_role("button", name="Check and store").click()


def connect(page: Page, tenant: Tenant) -> str:
    """The whole way in a browser that GoTo does not know yet; returns the token."""
    page.goto(tenant.link)
    press(page)
    log_in(page)
    allow(page)
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    return token(page)


def reopen(page: Page, tenant: Tenant) -> None:
    """The settings page, in a browser that may show it already: it may reload itself just now."""
    while True:
        try:
            page.goto(tenant.address)
        except Error as interrupted:
            if "interrupted by another navigation" not in interrupted.message:
                raise
        else:
            return


def eventually(look: Callable[[], T], otherwise: str, seconds: float = 60) -> T:
    """What a look finds, once it finds something: another function does its part in its time."""
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until, otherwise
        time.sleep(0.3)
    return found


def mail(cloud: LocalCloud, recipient: str, subject: str) -> dict[str, Any]:
    """The newest mail of this subject."""

    def newest() -> dict[str, Any]:
        fitting = (
            each
            for each in reversed(cloud.aws.mails())
            if recipient in each["To"] and subject in each["Subject"]
        )
        return next(fitting, {})

    return eventually(newest, f"no mail {subject!r} to {recipient}")


def link_in(found: dict[str, Any]) -> str:
    """The address that a mail's text has on a line of its own, and its page too."""
    [address] = re.findall(r"^http\S+$", found["BodyText"], re.MULTILINE)
    assert address in found["BodyHtml"]
    return str(address)


def control(cloud: LocalCloud, path: str, body: dict[str, Any] | None = None) -> Any:
    """The sandbox GoTo's control routes."""
    return cloud.control(path, body)


def token_requests(cloud: LocalCloud) -> list[dict[str, Any]]:
    """Every token request that the sandbox's GoTo has seen."""
    requests: list[dict[str, Any]] = control(cloud, "log")["requests"]
    return requests


def stored_as(link: str) -> str:
    """The key under which the table knows a link."""
    return hashlib.sha256(link.rsplit("/", 1)[1].encode()).hexdigest()


def change(tenant: Tenant, table: str, **values: str | int) -> None:
    """Set attributes of a tenant's row."""
    _change(tenant.cloud, table, {"tenant": {"S": tenant.name}}, values)


def age(tenant: Tenant, days: int) -> None:
    """Let the tenant have been connected, and all that is told of it, that many days ago."""
    past = days * DAY
    row = tenant.row("tokens")
    for attribute in ("connected_at", "reconnect_by"):
        change(tenant, "tokens", **{attribute: int(row[attribute]["N"]) - past})
    rewrite_history(tenant, earlier=past)


def rewrite_history(tenant: Tenant, *, earlier: int = 0) -> None:
    """Let what is told so far have been earlier, by seconds, and the sandbox's doing a rep's."""
    dynamodb, table = tenant.cloud.aws.dynamodb, tenant.cloud.tables["journal"]
    told = dynamodb.query(
        TableName=table,
        KeyConditionExpression="tenant = :tenant",
        ExpressionAttributeValues={":tenant": {"S": tenant.name}},
    )["Items"]
    for row in told:
        at, rest = row["at"]["S"].split("#")
        dynamodb.delete_item(TableName=table, Key={"tenant": row["tenant"], "at": row["at"]})
        row["at"]["S"] = f"{int(at) - earlier * 1000:013d}#{rest}"
        row["who"]["S"] = REP if row["who"]["S"] == LOCAL_REP else row["who"]["S"]
        dynamodb.put_item(TableName=table, Item=row)


def change_link(tenant: Tenant, **values: str | int) -> None:
    """Set attributes of the row of the tenant's link."""
    _change(tenant.cloud, "links", {"link": {"S": stored_as(tenant.link)}}, values)


def change_request(tenant: Tenant, page: Page, **values: str | int) -> None:
    """Set attributes of the newest authorization request of a browser."""
    [secret] = [
        cookie["value"]
        for cookie in page.context.cookies(tenant.address)
        if cookie["name"] == "__Host-ha-browser"
    ]
    browser = {"request": {"S": opaque.browser_digest(secret, tenant.name)}}
    table = tenant.cloud.tables["authorization_requests"]
    row = tenant.cloud.aws.dynamodb.get_item(TableName=table, Key=browser)["Item"]
    _change(tenant.cloud, "authorization_requests", {"request": row["current"]}, values)


def let_confirm(tenant: Tenant) -> None:
    """Let some minutes have passed since GoTo first refused the tenant's grant (F26)."""
    if "refused_since" in tenant.row("grants"):
        now = int(time.time())
        change(tenant, "grants", refused_since=now - 2 * CONFIRM_ALONE, next_refresh_at=now)


@contextmanager
def changed_function(cloud: LocalCloud, function: str, **variables: str) -> Iterator[None]:
    """A function runs with other settings meanwhile."""
    aws: Any = cloud.aws.lambda_  # its stubs want a type of their own
    found = aws.get_function_configuration(FunctionName=function)["Environment"]["Variables"]
    aws.update_function_configuration(
        FunctionName=function, Environment={"Variables": found | variables}
    )
    yield
    aws.update_function_configuration(FunctionName=function, Environment={"Variables": found})


def drop(tenant: Tenant, table: str, attribute: str) -> None:
    """Take an attribute out of a tenant's row."""
    tenant.cloud.aws.dynamodb.update_item(
        TableName=tenant.cloud.tables[table],
        Key={"tenant": {"S": tenant.name}},
        UpdateExpression="REMOVE #gone",
        ExpressionAttributeNames={"#gone": attribute},
    )


def _change(cloud: LocalCloud, table: str, key: Any, values: dict[str, str | int]) -> None:
    cloud.aws.dynamodb.update_item(
        TableName=cloud.tables[table],
        Key=key,
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
        ExpressionAttributeNames={f"#{name}": name for name in values},
        ExpressionAttributeValues={
            f":{name}": {"S": value} if isinstance(value, str) else {"N": str(value)}
            for name, value in values.items()
        },
    )


def everything(cloud: LocalCloud) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table but those that the schedule writes."""
    watched = ("tenants", "links", "authorization_requests", "journal")
    return {
        table: cloud.aws.dynamodb.scan(TableName=cloud.tables[table])["Items"] for table in watched
    }


def untouched(tenant: Tenant) -> dict[str, list[dict[str, Any]]]:
    """Every row, to show that none changed; but for other tenants' and the heartbeat's, which
    change whenever a tick runs beside the test."""
    moving = re.compile(rf"'(?!{tenant.name}')tenant-\d+'|'{STREAM}'")
    return {
        table: sorted((row for row in rows if not moving.search(repr(row))), key=repr)
        for table, rows in everything(tenant.cloud).items()
    }


@contextmanager
def next_exchange_held(cloud: LocalCloud) -> Iterator[None]:
    """GoTo answers the next code at the block's end: the wait is seen on a busy machine, too."""
    fail_next_exchange(cloud, status=None, delay=OUTBOUND_READ_TIMEOUT - 5, after=True)
    try:
        yield
    finally:
        control(cloud, "release", {})


def fail_next_exchange(cloud: LocalCloud, **failure: Any) -> None:
    """What the next code meets at GoTo; refreshes of other tenants pass."""
    waiting = {"grant_type": "authorization_code", **failure}
    control(cloud, "switches", {"fail_next": [waiting]})
