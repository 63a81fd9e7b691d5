"""S20, S31: errors that quote what they were given, injected at random into every handler.

Every call of AWS, every request of GoTo and STS, and some pure functions may end in an error whose
text repeats its arguments, as a library's may. Nothing of what grants something then stands in a
log, an answer, or the error that leaves the handler. `CANARY_ROUNDS` runs more of them.
"""

import io
import json
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pkgutil import resolve_name
from typing import Any, Self

import pytest
import requests
from moto import mock_aws

from chalicelib import opaque
from chalicelib.aws.telemetry import logger
from chalicelib.bootstrap import deployment as bootstrap
from chalicelib.errors import HandlerFailed, ServiceError
from chalicelib.goto import oauth
from chalicelib.goto.token_response import TokenSet
from chalicelib.models import ClientCredentials, Grant, NewTokens, Status, lane
from chalicelib.tokens.rescue import refresh_message
from chalicelib.web.pages import message_page
from infra.smoke import TICK
from tests.support.deployment import Deployment, change, streamed
from tests.support.memory import MemoryDynamoDB
from tests.support.site import PAGE, Answered, Site

ROUNDS = int(os.environ.get("CANARY_ROUNDS", "60"))
SEED = 7

KINDS: list[type[Exception]] = [
    ValueError, KeyError, RuntimeError, OSError, TypeError, UnicodeError, MemoryError,
    AttributeError, LookupError, requests.ConnectionError,
]  # fmt: skip

PURE = (
    "chalicelib.connect.complete.judge",
    "chalicelib.refresh.refresher.judge",
    "chalicelib.tokens.commit.Commits.dated",
    "chalicelib.opaque.digest",
    "chalicelib.notify.announcer.write",
    "chalicelib.connect.client_check.client_known",
    "chalicelib.tokens.rescue._grant",
)

CANARIES = ("CANARY-secret", "CANARY-access", "CANARY-refresh", "CANARY-code")


class Trap:
    """Ends one call of those that follow, in an error that quotes what was given."""

    def __init__(self, drawn: random.Random) -> None:
        self._drawn = drawn
        self._left: int | None = None
        self.sprung = 0

    def arm(self, calls: int) -> None:
        self._left = self._drawn.randrange(calls)

    def disarm(self) -> None:
        self._left = None

    def step(self, *given: object) -> None:
        if self._left is None:
            return
        self._left -= 1
        if self._left < 0:
            self.disarm()
            self.sprung += 1
            raise self._drawn.choice(KINDS)(f"a library quotes: {given!r}")

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def trapped(*given: Any, **named: Any) -> Any:
            self.step(given, _shown(given), named)
            return function(*given, **named)

        return trapped


def _shown(given: tuple[object, ...]) -> list[object]:
    """What a repr hides, too."""
    held: list[object] = []
    for value in given:
        if isinstance(value, oauth.Answer):
            held.append(value.body)
        if isinstance(value, ClientCredentials):
            held.append(value.client_secret)
        if isinstance(value, TokenSet):
            held += [value.access_token, value.refresh_token]
    return held


class Response:
    """GoTo's answer, as `requests` has it."""

    headers = {"Content-Length": "1"}  # noqa: RUF012 - never changed

    def __init__(self, body: bytes, status: int = 200) -> None:
        self._body, self.status_code = body, status

    def iter_content(self, _size: int) -> Iterator[bytes]:
        yield self._body

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""


class InMemory(Deployment):
    """With tables that answer at once; ``trap`` stands before them."""

    def __init__(self, patch: pytest.MonkeyPatch, trap: Trap) -> None:
        self._memory: Any = MemoryDynamoDB()
        self._trap = trap
        super().__init__(patch)

    def client(self, service: str) -> Any:
        return self._memory if service == "dynamodb" else super().client(service)

    def _made(self) -> bootstrap.Deployment:
        made = super()._made()
        vars(made)["dynamodb"] = Trapped(self._memory, self._trap)
        return made

    def _goto_for(self, live: bootstrap.Deployment) -> bootstrap.GoToFor:
        return live.goto  # the real one, over the trapped transport

    def _untold(self) -> list[dict[str, Any]]:
        rows = self._memory.scan(TableName=self.tables["JOURNAL_TABLE"])["Items"]
        return [row for row in rows if change(row) not in self._told]


class Trapped:
    def __init__(self, client: Any, trap: Trap) -> None:
        self._client, self._trap = client, trap

    def __getattr__(self, name: str) -> Any:
        return self._trap.around(getattr(self._client, name))


class Story:
    """All handlers, one at a time: prepared in peace, then run into the trap."""

    def __init__(self, patch: pytest.MonkeyPatch, trap: Trap) -> None:
        self.aws = InMemory(patch, trap)
        patch.setattr(requests.Session, "request", self._outbound)
        self.trap = trap
        self.aws._session.register("before-call", self._calls_aws)
        for name in PURE:
            patch.setattr(name, trap.around(resolve_name(name)))
        self.number = 0
        self.values: set[str] = set()

    def _calls_aws(self, **told: Any) -> None:
        self.trap.step(told["model"].name, told["params"].get("body"), told["params"].get("url"))

    def _outbound(self, method: str, url: str, **given: Any) -> Response:
        self.trap.step(method, url, given)
        if "/users/" in url:
            return Response(b'{"items":[{"accountKey":"4000000001"}]}')
        form = given.get("data") or {}
        if opaque.well_formed(form.get("refresh_token")):
            return Response(b'{"error":"invalid_grant"}', 400)
        self.number += 1
        given_now = {
            "access_token": f"CANARY-access-{self.number}",
            "refresh_token": f"CANARY-refresh-{self.number}",
            "expires_in": 3600,
        }
        return Response(json.dumps(given_now).encode() if "revoke" not in url else b"{}")

    def name(self) -> str:
        self.number += 1
        return f"t{self.number}"

    def ready(self) -> tuple[str, Site]:
        """A tenant with a client; its admin's browser, whose cookies are secrets as well."""
        name, rep = self.name(), self.aws.rep
        rep("tenant_add", tenant=name, display_name=name, admin_email=f"a@{name}.example")
        rep("credentials_set", tenant=name, client_id="id", client_secret="CANARY-secret")
        site = Site(self.aws)
        site.open(self.aws.link(name))
        self.values |= set(site.jar.values())
        return name, site

    def pressed(self) -> tuple[str, Site, str]:
        name, site = self.ready()
        state = site.press()["state"]
        self.values |= {state, *site.jar.values()}
        return name, site, state

    def connected(self) -> str:
        name, site, state = self.pressed()
        site.get(f"{PAGE}?state={state}&code=CANARY-code")
        self.aws.run_queued()
        return name

    def intake(self) -> tuple[str, str]:
        name, _ = self.ready()
        link = str(self.aws.rep("intake_create", tenant=name)["url"]).rsplit("/", 1)[1]
        self.values.add(link)
        return name, link

    def trapped(self, calls: int, run: Callable[[], object]) -> object:
        self.trap.arm(calls)
        try:
            return run()
        finally:
            self.trap.disarm()

    # One for each handler.

    def complete(self) -> object:
        _, site, state = self.pressed()
        site.get(f"{PAGE}?state={state}&code=CANARY-code")
        waiting = self.aws.queued.pop()
        return self.trapped(14, lambda: self.aws.invoke("Complete", waiting.event))

    def taken_in(self) -> object:
        _, link = self.intake()
        event = {"link": link, "browser": "b", "client_id": "c", "client_secret": "CANARY-secret"}
        return self.trapped(8, lambda: self.aws.invoke("Intake", event))

    def refresh_tick(self) -> object:
        self._due()
        return self.trapped(12, lambda: self.aws.invoke("RefreshTick", TICK))

    def refresh_lane(self) -> object:
        name = self._due()
        event = {"lane": lane(name), "rate": 5.0, "wait": 0}
        return self.trapped(8, lambda: self.aws.invoke("RefreshLane", event))

    def _due(self) -> str:
        name = self.connected()
        self.aws.set_row("Grants", name, next_refresh_at=1)
        return name

    def refresh_now(self) -> object:
        event = {"tenant": self.connected(), "rejected_version": 1}
        return self.trapped(10, lambda: self.aws.invoke("RefreshNow", event))

    def rescue(self) -> object:
        grant = Grant(
            self.connected(), Status.CONNECTED, 1, 1, "c", "v", refresh_token="CANARY-refresh-0"
        )
        fresh = NewTokens("CANARY-access-0", "Bearer", 1, 2, 3, refresh_token="CANARY-refresh-00")
        body = refresh_message(grant, fresh)
        if self.number % 2:
            body = body.replace('"fresh": {', '"fresh": {"CANARY-refresh-9": 1, ')
        event = {"Records": [{"body": body, "receiptHandle": "h"}]}
        return self.trapped(5, lambda: self.aws.invoke("Rescue", event))

    def after_restore(self) -> object:
        event = {"lane": lane(self.connected()), "both": bool(self.number % 2)}
        return self.trapped(5, lambda: self.aws.invoke("AfterRestore", event))

    def rep_command(self) -> object:
        name, commands = self.connected(), ("credentials_set", "import_lines", "link_create")
        line = {"line": 1, "tenant": self.name(), "display_name": "d", "admin_email": "a@b.example"}
        held = {"client_id": "i", "client_secret": "CANARY-secret"}
        event = {
            "command": commands[self.number % len(commands)],
            "tenant": name,
            **held,
            "lines": [line | held | {"refresh_token": "CANARY-refresh-0"}],
        }
        answer = self.trapped(7, lambda: self.aws.invoke("RepCommand", event))
        return {**answer, "url": None} if isinstance(answer, dict) else answer  # theirs to see

    def announce(self) -> object:
        name = self.connected()
        self.aws.announce()
        self.aws.rep("link_send", tenant=name)
        [row] = self.aws._untold()
        event = {"Records": [streamed(row)]}
        try:
            return self.trapped(9, lambda: self.aws.invoke("Announce", event))
        finally:
            self.aws._told.add(change(row))

    def mail_feedback(self) -> object:
        event = self.aws.bounce(self.connected())
        return self.trapped(2, lambda: self.aws.invoke("MailFeedback", event))

    def web_open(self) -> object:
        name, _ = self.ready()
        link, site = self.aws.link(name), Site(self.aws)
        self.values.add(link)
        return self.trapped(4, lambda: site.get(f"/connect/{link}"))

    def web_start(self) -> object:
        _, site = self.ready()
        form = {"csrf": site.csrf()}
        return self.trapped(8, lambda: site.post(PAGE, form))

    def web_callback(self) -> object:
        _, site, state = self.pressed()
        answer = self.trapped(6, lambda: site.get(f"{PAGE}?state={state}&code=CANARY-code"))
        self.aws.queued.clear()
        return answer

    def web_status(self) -> object:
        _, site, _state = self.pressed()
        return self.trapped(6, lambda: site.get(f"{PAGE}status"))

    def web_fresh_link(self) -> object:
        name, site = self.ready()
        link = self.aws.link(name)
        self.values.add(link)
        self.aws.rep("link_revoke", tenant=name)
        return self.trapped(5, lambda: site.post(f"/connect/{link}", {}))

    def web_intake(self) -> object:
        _, link = self.intake()
        site = Site(self.aws)
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', site.get(f"/intake/{link}").body)
        assert found
        self.values |= set(site.jar.values())
        form = {"csrf": found[1], "client_id": "c", "client_secret": "CANARY-secret"}
        return self.trapped(12, lambda: site.post(f"/intake/{link}", form))


HANDLERS: list[Callable[[Story], object]] = [
    Story.complete, Story.taken_in, Story.refresh_tick, Story.refresh_lane, Story.refresh_now,
    Story.rescue, Story.after_restore, Story.rep_command, Story.announce, Story.mail_feedback,
    Story.web_open, Story.web_start, Story.web_callback, Story.web_status, Story.web_fresh_link,
    Story.web_intake,
]  # fmt: skip


@pytest.fixture
def written(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[], str]:
    """What has been logged or printed since it was last asked for."""
    lines = io.StringIO()
    monkeypatch.setattr(logger().handlers[0], "stream", lines)

    def taken() -> str:
        text = lines.getvalue() + "".join(capfd.readouterr())
        lines.seek(0)
        lines.truncate()
        return text

    return taken


def everything_of(error: BaseException) -> str:
    """What a log, a trace or a debugger could find in an error."""
    behind = error.__cause__ or error.__context__
    text = f"{error} {error.args!r} {vars(error)!r}"
    return text + everything_of(behind) if behind else text


def told(answer: object) -> str:
    if not isinstance(answer, Answered):
        return json.dumps(answer, default=str)
    headers = {k: v for k, v in answer.headers.items() if k not in ("set-cookie", "location")}
    return answer.body + repr(headers)  # cookies and GoTo's address are the visitor's own


def test_s20_s31_no_error_that_quotes_its_arguments_gets_out(
    monkeypatch: pytest.MonkeyPatch, written: Callable[[], str], capfd: pytest.CaptureFixture[str]
) -> None:
    """S20, S31: of 16 ways into the service, errors at random: 0 canaries in logs, answers and
    escaped errors."""
    drawn = random.Random(SEED)
    trap = Trap(drawn)
    found: Counter[tuple[str, str]] = Counter()
    ends: Counter[str] = Counter()
    with mock_aws():
        story = Story(monkeypatch, trap)
        for number in range(ROUNDS):
            handler = HANDLERS[number % len(HANDLERS)]
            written()
            answer: object = None
            escaped = ""
            try:
                answer = handler(story)
            except HandlerFailed as error:
                ends[error.kind] += 1
                escaped = everything_of(error)
            for where, text in (("log", written()), ("answer", told(answer)), ("error", escaped)):
                for canary in [*CANARIES, *story.values]:
                    found[handler.__name__, where] += canary in text
    assert +found == Counter()
    assert trap.sprung > ROUNDS / 2
    assert sum(ends.values()) > ROUNDS / 10
    with capfd.disabled():
        if "CANARY_ROUNDS" in os.environ:
            print(f"\n{ROUNDS} rounds, {trap.sprung} errors, {sum(ends.values())} escaped: 0 found")


def test_s31_a_handler_ends_in_kind_and_reference(
    monkeypatch: pytest.MonkeyPatch, written: Callable[[], str]
) -> None:
    """S31: by which its line in the log is found; nothing is chained to it."""
    with mock_aws():
        aws = Deployment(monkeypatch)
        monkeypatch.setattr("chalicelib.rep.commands.run", _quoting)
        with pytest.raises(HandlerFailed) as failed:
            aws.invoke("RepCommand", {"command": "status"})
    found = re.fullmatch(r"ValueError, reference ([A-Z2-9]{5}-[A-Z2-9]{5})", str(failed.value))
    assert found
    assert failed.value.__cause__ is None
    assert failed.value.__context__ is None
    assert isinstance(failed.value, ServiceError)
    lines = [json.loads(line) for line in written().splitlines() if line.startswith("{")]
    [line] = [line for line in lines if line.get("reference") == found[1]]
    assert (line["cause"], line["message"]) == ("ValueError", "rep_command failed")
    assert line["way"][-1].startswith("test_canaries.py:")
    assert "CANARY" not in json.dumps(lines)


def _quoting(*_: object, **__: object) -> None:
    raise ValueError("CANARY-secret")


@pytest.mark.parametrize("times", [1, 2])
def test_s31_not_even_a_broken_page_of_errors_is_logged_with_its_text(
    times: int,
    monkeypatch: pytest.MonkeyPatch,
    written: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S31: Chalice would log that error, and the path, which is a link; Lambda the next one."""
    pages: list[Callable[..., Any]] = [message_page, *[_quoting] * times]

    def page(*given: Any, **named: Any) -> Any:
        return (pages.pop() if len(pages) > 1 else pages[0])(*given, **named)

    monkeypatch.setattr("chalicelib.web.pages.message_page", page)
    with mock_aws():
        site = Site(Deployment(monkeypatch))
        try:
            told = site.get("/connect/CANARY-link").body
        except HandlerFailed as failed:
            told = everything_of(failed)
    assert pages == [message_page]
    assert "CANARY" not in told + written() + caplog.text
