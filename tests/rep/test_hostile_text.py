"""S30: whatever the service tells is data on the rep's terminal, shown or piped on."""

import json
from typing import Any

import pytest

from cli import output
from cli.service import Answer, Service, Stopped
from tests.rep.program import Run
from tests.support.hostile import HOSTILE, obeyed
from tests.support.world import World

memory_only = pytest.mark.parametrize("world", ["memory"], indirect=True)


def store(world: World, table: str, **values: str) -> None:
    """What a version before this one has let in."""
    for name, value in values.items():
        world.dynamodb.update_item(
            TableName=table,
            Key={"tenant": {"S": "acme"}},
            UpdateExpression="SET #name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": {"S": value}},
        )


COMMANDS = ["tenant show acme", "tenant list", "status", "export"]


@memory_only
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_s30_no_stored_text_gets_at_the_terminal(world: World, run: Run, text: str) -> None:
    """S30: not from a row that was written before it was checked, in no table, line or JSON."""
    world.connect(world.add_tenant())
    store(
        world,
        world.settings.tenants_table,
        display_name=text,
        admin_email=text,
        pinned_account=text,
        client_id=text,
    )
    store(world, world.settings.tokens_table, principal=text, scope=text)
    store(world, world.settings.grants_table, last_error=text)
    for command in COMMANDS:
        for flags in ([], ["--json"]):
            ran = run(*command.split(), *flags)
            assert ran.code == 0, ran.err
            assert obeyed(ran.out + ran.err) == set(), command
    ran = run("tenant", "show", "acme")
    assert output.plain(text).plain in " ".join(ran.out.split()) or " " in text
    assert run("link", "send", "acme").code == 0
    assert run("tenant", "change", "acme", "--display-name", "New").code == 0


@memory_only
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_s30_no_answer_of_the_service_gets_at_the_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """S30: its sentences, its findings, and its errors neither."""
    row = {"name": text, "well": False, "told": text, "advice": text}
    monkeypatch.setattr("cli.local_checks.page_fault", lambda url: text)
    monkeypatch.setattr(
        Service, "ask", lambda *_, **__: Answer.of({"at": 0, "page_url": text, "findings": [row]})
    )
    told = run("doctor")
    assert (told.code, obeyed(told.out + told.err)) == (1, set())

    def refused(*_: Any, **__: Any) -> None:
        raise Stopped(2, f"There is no tenant {text}.")

    monkeypatch.setattr(Service, "ask", refused)
    ran = run("tenant", "show", "acme")
    assert ran.code == 2
    assert obeyed(ran.err) == set()
    assert len(ran.err.splitlines()) == 1
    assert "There is no tenant" in ran.err


@memory_only
@pytest.mark.parametrize("text", [each for each in HOSTILE if "\0" not in each], ids=ascii)
@pytest.mark.parametrize(
    "command", ["pin set acme --account", "pin lift", "tenant remove", "disconnect", "link revoke"]
)
def test_s30_no_question_gets_at_the_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str, text: str
) -> None:
    """S30: an account key may have been pasted from a customer's mail."""
    monkeypatch.setattr("cli.typer_app.interactive", lambda: True)
    ran = run(*command.split(), "--", text) if "--" not in command else run(*command.split(), text)
    assert obeyed(ran.out + ran.err) == set()


@memory_only
def test_what_looks_like_markup_is_shown_as_it_is(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"outcome": "[bold red]4000[/]", "expires_at": 0, "retry_after": None}
    monkeypatch.setattr(Service, "ask", lambda *_, **__: Answer.of(answer))
    assert "acme: [bold red]4000[/];" in run("refresh", "acme").out
    assert json.loads(run("refresh", "acme", "--json").out)["outcome"] == "[bold red]4000[/]"


class Payload:
    def __init__(self, told: object) -> None:
        self._told = told

    def read(self) -> bytes:
        return json.dumps(self._told).encode()


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            {"errorType": "HandlerFailed", "errorMessage": "KeyError, reference AAAAA-22222"},
            "The service failed (KeyError, reference AAAAA-22222); its log says why.",
        ),
        ({"errorType": "Other", "errorMessage": "canary"}, "The service failed; its log says why."),
        (None, "The service failed; its log says why."),
    ],
)
def test_s31_a_failed_function_is_told_by_kind_and_reference(
    monkeypatch: pytest.MonkeyPatch, told: object, said: str
) -> None:
    """S31: and of an error that is not ours nothing is repeated."""

    class Lambda:
        def invoke(self, **_: Any) -> dict[str, Any]:
            return {"FunctionError": "Unhandled", "Payload": Payload(told)}

    class Session:
        def client(self, *_: Any, **__: Any) -> Lambda:
            return Lambda()

    monkeypatch.setattr(Service, "_proof", lambda *_: {})
    with pytest.raises(Stopped) as stopped:
        Service("main", Session()).ask("status")  # type: ignore[arg-type]  # stands in for boto3's
    assert str(stopped.value).startswith(said)
