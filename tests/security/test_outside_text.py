"""S30: text from outside on its way through the service: GoTo's answers, callbacks, what reps type,
and where it comes out again: pages, mails, logs."""

import io
import json
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest

from chalicelib import opaque, untrusted_text
from chalicelib.aws.telemetry import logger
from chalicelib.errors import DependencyUnavailable
from chalicelib.goto.oauth import Answer
from chalicelib.models import Reason, Status
from chalicelib.notify.email_templates import Letter, write
from chalicelib.tokens.rescue import Rescued
from sandbox.logs import readable
from tests.support.hostile import HOSTILE, obeyed
from tests.support.site import PAGE, Site
from tests.support.world import World

memory_only = pytest.mark.parametrize("world", ["memory"], indirect=True)


def answer(**fields: Any) -> Answer:
    given = {"access_token": "access-x", "refresh_token": "refresh-x", "expires_in": 3600}
    return Answer(200, json.dumps(given | fields).encode())


# Callbacks.

WORDS = [
    pytest.param("AADSTS65004%3a+declined.%0d%0aTrace+ID%3a+1%0d%0aTimestamp", id="CR LF"),
    pytest.param("denied%09by+user", id="a tab"),
    pytest.param("acc%E8s+refus%E9", id="Latin-1"),
    pytest.param("acc%C2%A0refus%C2%AD", id="soft hyphen and no-break space"),
    pytest.param("x" * 5_000, id="5,000 characters"),
    pytest.param("", id="nothing"),
    pytest.param("%E6%8B%92%E5%90%A6", id="Chinese"),
    pytest.param("%00%1b%5B2J%E2%80%AE", id="controls"),
]


@pytest.mark.parametrize("name", ["error_description", "error_uri"])
@pytest.mark.parametrize("words", WORDS)
def test_s30_s08_a_refusal_is_understood_in_whatever_words(
    site: Site, name: str, words: str
) -> None:
    """S08, S30: the state is used up, the admin reads that access was denied; of the words nothing
    is shown or kept."""
    site.open(site.world.add_tenant())
    state = site.press()["state"]
    came = site.get(f"{PAGE}?error=access_denied&state={state}&{name}={words}")
    assert (came.status, came.headers["location"]) == (303, PAGE)
    request = site.world.requests.get(opaque.digest(state))
    assert request is not None
    assert request.reason is Reason.DENIED
    page = site.get(PAGE).body
    assert "Access was denied at GoTo" in page
    assert "AADSTS" not in page + repr(site.world.everything())


@memory_only
def test_an_error_without_a_value_counts_as_left_out(site: Site) -> None:
    """RFC 6749 3.1: the code beside it is exchanged."""
    site.open(site.world.add_tenant())
    site.get(f"{PAGE}?error=&state={site.press()['state']}&code=a-code")
    assert site.world.complete() == [None]


@memory_only
@pytest.mark.parametrize("name", ["error", "code", "state"])
def test_s30_what_is_acted_on_stays_strict(site: Site, name: str) -> None:
    site.open(site.world.add_tenant())
    given = {"error": "access_denied", "state": site.press()["state"], name: "a\r\nb"}
    before = site.world.everything()
    query = "&".join(f"{key}={quote(value)}" for key, value in given.items())
    assert site.get(f"{PAGE}?{query}").status == 400
    assert site.world.everything() == before


# What GoTo answers.


@memory_only
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_s30_what_goto_tells_is_kept_printable_and_bounded(site: Site, text: str) -> None:
    """S30: in no table, no page and no header stands what a terminal or a browser would obey."""
    world = site.world
    world.goto.script = [
        answer(principal=f"a {text}" * 200, scope=f"a {text}", token_type="bearer")
    ]
    page = site.connect(world.add_tenant())
    row = world.dynamodb.get_item(
        TableName=world.settings.tokens_table, Key={"tenant": {"S": "acme"}}
    )["Item"]
    assert row["token_type"] == {"S": "Bearer"}
    assert len(row["principal"]["S"]) <= untrusted_text.LONGEST_ADDRESS
    assert obeyed(page.body + json.dumps(world.everything(), ensure_ascii=False)) == set()
    assert "<script>alert" not in page.body
    assert "49" not in row["principal"]["S"]


def unavailable(*_: object, **__: object) -> None:
    raise DependencyUnavailable("dynamodb", "InternalServerError")


@memory_only
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_s30_what_waited_in_the_rescue_queue_is_read_as_at_the_entrance(
    world: World, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """S30: a version without that check may have put it there."""
    visitor = world.browser(world.add_tenant())
    with monkeypatch.context() as broken:
        broken.setattr(world.connections, "commit_connect", unavailable)
        world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
        world.complete()
    [message] = world.rescue_queue.messages
    content = json.loads(message)
    content["principal"] = f"a {text}" * 200
    world.rescue_queue.messages[0] = json.dumps(content)
    assert world.rescue() == [Rescued.COMMITTED]
    assert obeyed(json.dumps(world.everything(), ensure_ascii=False)) == set()


class Isolated(HTMLParser):
    """Texts of a page that stand outside of `bdi`."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = 0
        self.outside = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.inside += tag == "bdi"

    def handle_endtag(self, tag: str) -> None:
        self.inside -= tag == "bdi"

    def handle_data(self, data: str) -> None:
        self.outside += "" if self.inside else data


@memory_only
def test_s30_names_on_a_page_turn_no_writing_but_their_own(site: Site) -> None:
    """S30: an Arabic or Hebrew name, too, leaves the sentence around it as it was."""
    world = site.world
    world.goto.script = [answer(principal="PRINCIPAL-שלום")]
    link = world.add_tenant()
    world.rep("tenant_change", tenant="acme", display_name="NAME-שלום")
    body = site.connect(link).body
    seen = Isolated()
    seen.feed(body)
    assert "NAME-שלום" in body
    assert "PRINCIPAL-שלום" in body
    assert "שלום" not in seen.outside


TYPES = ["DPoP", "mac", "Bearer\r\nX-Evil: 1", "\u212aearer", 5, ["Bearer"], {"a": 1}]


@memory_only
@pytest.mark.parametrize("kind", TYPES, ids=ascii)
def test_s30_a_refresh_token_beside_an_unusable_access_token_is_kept(
    world: World, kind: object
) -> None:
    """S30: it may be the only valid one; no reader ever gets that access token."""
    world.connect(world.add_tenant())
    world.pass_until_due()
    world.goto.script = [answer(token_type=kind)]
    assert world.tick() == {"transient": 1}
    connection = world.connections.get("acme")
    assert connection is not None
    assert world.grant().refresh_token == "refresh-x"
    assert connection.expires_at <= world.clock.now
    world.pass_until_due()
    assert world.tick() == {"refreshed": 1}
    assert world.goto.asked[-1]["refresh_token"] == "refresh-x"


@memory_only
def test_s30_an_exchange_for_an_unusable_token_changes_no_connection(world: World) -> None:
    """S30: the grant is given back, the connection that stands goes on."""
    link = world.add_tenant()
    world.connect(link)
    before = world.connections.get("acme"), world.grant()
    world.goto.script = [answer(token_type="DPoP")]
    visitor = world.browser(link)
    world.come_back(visitor, state=world.start(visitor)["state"], code="b-code")
    assert world.complete() == [Reason.PROVIDER_ERROR]
    assert (world.connections.get("acme"), world.grant()) == before
    assert world.goto.revoked == ["refresh-x"]


# What reps enter.

ADD = {"display_name": "Acme", "admin_email": "admin@acme.example"}


def import_line(**changed: str) -> dict[str, Any]:
    given = {"line": 2, "tenant": "acme", "client_id": "i", "client_secret": "s"}
    return given | ADD | {"refresh_token": "r"} | changed


@memory_only
@pytest.mark.parametrize("text", [*HOSTILE[:8], *HOSTILE[12:]], ids=ascii)
@pytest.mark.parametrize("field", ["display_name", "admin_email"])
def test_s30_no_way_in_takes_what_a_terminal_would_obey(
    world: World, field: str, text: str
) -> None:
    """S30: added, changed or imported; nothing is stored, and the sentence repeats nothing."""
    bad = {field: f"a{text}@acme.example"}
    world.add_tenant("standing")
    before = world.everything()
    [told] = world.rep("import_check", lines=[import_line(**bad)])["lines"]
    refused = [
        world.rep("tenant_add", tenant="acme", **(ADD | bad)),
        world.rep("tenant_change", tenant="standing", **bad),
        told,
        world.rep("import_lines", lines=[import_line(**bad)])["lines"][0],
    ]
    assert all(each["error"] for each in refused)
    assert not any(obeyed(each["error"]) for each in refused)
    assert world.everything() == before


RESERVED = [
    "www", "localhost", "mail", "mail2", "smtp", "mx1", "ns1", "api", "app", "admin", "static",
    "cdn", "autodiscover", "autoconfig", "mta-sts", "wpad", "login", "xn--mller-kva", "ab--c",
    "www1", "webmail", "local", "localdomain", "ip6-localhost", "postmaster", "lyncdiscover",
    "127", "0x7f000001", "oauth", "hireanalytix",
]  # fmt: skip


@memory_only
@pytest.mark.parametrize("name", RESERVED)
def test_s30_no_new_tenant_gets_a_name_that_stands_for_something_else(
    world: World, name: str
) -> None:
    """S30: neither added nor imported."""
    before = world.everything()
    refused = world.rep("tenant_add", tenant=name, **ADD)
    assert (refused["ok"], refused["kind"]) == (False, "invalid_input")
    for command in ("import_check", "import_lines"):
        [told] = world.rep(command, lines=[import_line(tenant=name)])["lines"]
        assert "reserved" in told["error"]
    assert world.everything() == before


@memory_only
@pytest.mark.parametrize("name", ["www-acme", "mailer", "acme-api", "a--b", "nso", "a", "mail22"])
def test_names_that_are_like_reserved_ones_are_taken(world: World, name: str) -> None:
    assert world.rep("tenant_add", tenant=name, **ADD)["ok"]


@memory_only
def test_a_tenant_that_has_a_reserved_name_already_keeps_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is locked out of what stands: seen, changed, linked, its import line known again."""
    with monkeypatch.context() as before:
        before.setattr("chalicelib.rep.bulk_import.reserved", lambda name: None)
        assert world.rep("import_lines", lines=[import_line(tenant="www")])["lines"][0]["done"]
    assert world.rep("tenant_show", tenant="www")["ok"]
    assert world.rep("tenant_change", tenant="www", display_name="New")["ok"]
    assert world.rep("link_create", tenant="www")["ok"]
    [told] = world.rep("import_check", lines=[import_line(tenant="www")])["lines"]
    assert (told["error"], told["done"]) == (None, True)


# Where it comes out.


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_s30_no_name_gets_out_of_its_place_in_a_mail(text: str) -> None:
    """S30: rows from before may hold anything."""
    letter = Letter("{tenant}: {name} {text}", ("{name} ({tenant}): {text}",))
    message = write(letter, name=text, tenant=text, text=text, link=None)
    assert obeyed(message.subject + message.text + message.html) == set()
    assert "\n" not in message.subject
    assert "<script>alert" not in message.html
    assert "Bcc" not in [line[:3] for line in message.text.splitlines()]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_s30_a_log_line_is_one_line_for_whoever_reads_it(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S30: in CloudWatch in ASCII, at `make run` without what a terminal obeys."""
    written = io.StringIO()
    monkeypatch.setattr(logger().handlers[0], "stream", written)
    logger().warning("refresh on demand", tenant=text)
    line = written.getvalue().strip()
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line)["tenant"] == text
    for message in (line, text.replace("\n", "")):
        assert obeyed(readable(message)) == set()
        assert "\n" not in readable(message)


@memory_only
def test_s30_degraded_by_an_unusable_token_is_shown_as_such(world: World) -> None:
    """S30: the rep sees that something is wrong, a reader asked for it gets `later`."""
    world.connect(world.add_tenant())
    world.pass_until_due()
    world.goto.script = [answer(token_type="DPoP")] * 2
    world.tick()
    assert world.rep("tenant_show", tenant="acme")["state"] == Status.DEGRADED
    assert world.on_demand(tenant="acme", min_valid_seconds=60).outcome == "later"
