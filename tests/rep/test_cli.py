"""The rep's command line before the service's own desk: what is said, shown, changed, and how it
ends. Only Lambda's wire is missing, which `tests/e2e/test_rep.py` adds."""

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
    UnauthorizedSSOTokenError,
)

import cli.main
from chalicelib.durations import FACTS_AGAIN
from chalicelib.errors import GoToSilent, ProviderUnreachable, RepError, StillConnected
from chalicelib.models import DETAILS
from cli.import_file import FIELDS, OPTIONAL
from cli.service import Answer, Service, Stopped
from tests.rep.conftest import typed
from tests.rep.program import HEADER, SECRET, Ran, Run, add, is_one_sentence, row
from tests.support.stubs import refusal
from tests.support.world import World


def test_a_new_tenant_is_told_its_redirect_uri_and_the_next_step(run: Run) -> None:
    ran = add(run)
    assert ran.code == 0
    assert "  https://acme.analytics.example/admin/settings/activities/\n" in ran.out
    assert "Next: ha-goto intake send acme" in ran.out
    shown = run("tenant", "show", "acme").out
    assert "awaiting_credentials" in shown
    assert "\nNext      Send the customer" in shown


@pytest.mark.parametrize("detail", DETAILS)
def test_each_detail_of_a_tenant_can_be_given_changed_imported_and_seen(
    run: Run, detail: str
) -> None:
    option, value = f"--{detail.replace('_', '-')}", f"of-{detail}@acme.example"
    add(run)
    assert option in run("tenant", "add", "--help").out
    assert run("tenant", "change", "acme", option, value).code == 0
    assert value in run("tenant", "show", "acme").out
    assert detail in {*FIELDS, *OPTIONAL}
    assert detail in run("import", "--help").out


def test_each_detail_that_may_be_left_out_is_on_the_page() -> None:
    page = Path(cli.__file__).with_name("README.md").read_text()
    assert [name for name in OPTIONAL if f"--{name.replace('_', '-')} " not in page] == []


def test_the_whole_way_by_command(world: World, run: Run) -> None:
    add(run)
    assert "admin@acme.example" in run("intake", "send", "acme").out
    assert run("intake", "show", "acme").out.startswith("https://acme.analytics.example/intake/")
    world.goto.script = [refusal(400, "invalid_grant")]
    assert run("credentials", "set", "acme", stdin=f"id-acme\n{SECRET}\n").code == 0
    assert "admin@acme.example" in run("link", "send", "acme").out
    link = run("link", "show", "acme").out.strip()
    assert link.startswith("https://acme.analytics.example/connect/")
    world.connect(link.rsplit("/", 1)[1])
    told = run("tenant", "show", "acme", "--json").json
    assert (told["state"], told["next_action"]) == ("connected", "Nothing.")
    assert "refreshed" in run("refresh", "acme").out
    assert "acme" in run("tenant", "list").out
    [row] = [json.loads(line) for line in run("export").out.splitlines()]
    assert row["tenant"] == "acme"
    assert run("link", "revoke", "acme", "--yes").code == 0
    assert run("pin", "set", "acme", "--account", "4000000001", "--yes").code == 0
    lifted = run("pin", "lift", "acme", "--yes")
    assert (lifted.code, "ha-goto link send acme" in lifted.out) == (0, True)
    assert "GoTo has revoked it" in run("disconnect", "acme", "--yes").out
    assert run("tenant", "remove", "acme", "--yes").code == 0
    assert run("tenant", "list", "--json").json == {"tenants": []}


def test_s20_no_output_holds_a_secret(world: World, run: Run, wire: list[dict[str, Any]]) -> None:
    """S20: it goes to the function alone."""
    add(run)
    world.goto.script = [refusal(401, "invalid_client"), refusal(400, "invalid_grant")]
    outputs = []
    for _ in range(2):
        ran = run("credentials", "set", "acme", stdin=f"id-acme\n{SECRET}\n")
        outputs += [ran.out, ran.err]
    for arguments in (["tenant", "show", "acme"], ["export"], ["status"], ["tenant", "list"]):
        for flags in ([], ["--json"]):
            ran = run(*arguments, *flags)
            outputs += [ran.out, ran.err]
    assert SECRET not in "".join(outputs)
    assert SECRET in json.dumps(wire)


def test_s20_goto_is_compared_with_what_is_assumed_of_it(world: World, run: Run) -> None:
    """S20: as a table and as JSON, for a connected tenant; without a secret."""
    assert run("facts", "acme").code != 0
    world.connect(world.add_tenant())
    table = run("facts", "acme")
    assert table.code == 0
    assert {"agrees", "DIFFERS"} < set(table.out.split())
    world.clock.pass_(FACTS_AGAIN)
    rows = run("facts", "acme", "--json").json["facts"]
    assert {"name", "assumed", "seen", "agrees"} == set(rows[0])
    for secret in ("access-1", "refresh-1", "secret-acme"):
        assert secret not in table.out + json.dumps(rows)


@pytest.mark.parametrize("detail", DETAILS)
def test_a_detail_that_may_be_left_out_can_be_taken_out_again(run: Run, detail: str) -> None:
    add(run)
    option = f"--no-{detail.replace('_', '-')}"
    assert (option in run("tenant", "change", "--help").out) is (detail in OPTIONAL)


@pytest.mark.parametrize("detail", DETAILS)
@pytest.mark.parametrize("value", ["two\nlines", "x" * 1_000], ids=["control", "long"])
def test_s30_no_detail_is_any_text(run: Run, detail: str, value: str) -> None:
    """S30: each has its check, whatever else that looks at."""
    add(run)
    is_one_sentence(run("tenant", "change", "acme", f"--{detail.replace('_', '-')}", value), 2)


def test_s29_a_second_contact_is_added_and_taken_out(world: World, run: Run) -> None:
    """S29: and the rep is told that the links have ended."""
    world.add_tenant()
    assert run("tenant", "change", "acme", "--also-email", "boss@acme.example").code == 0
    assert "boss@acme.example" in run("tenant", "show", "acme").out
    ran = run("tenant", "change", "acme", "--no-also-email")
    assert ran.code == 0
    assert "Next: ha-goto link send acme" in ran.out
    assert "boss@acme.example" not in run("tenant", "show", "acme").out
    is_one_sentence(run("tenant", "change", "acme", "--no-also-email"), 2)
    both = run("tenant", "change", "acme", "--no-also-email", "--also-email", "b@acme.example")
    is_one_sentence(both, 2)


WRONG: list[list[str]] = [
    ["tenant", "add", "Not A Label", "--admin-email", "a@b.example"],
    ["tenant", "add", "acme2"],
    ["tenant", "add", "acme2", "--admin-email", "nobody"],
    ["tenant", "add", "acme", "--admin-email", "a@b.example"],
    ["tenant", "list", "--state", "happy"],
    ["tenant", "show", "unheard-of"],
    ["tenant", "show"],
    ["tenant", "change", "acme"],
    ["tenant", "change", "acme", "--admin-email", "two@a.example,three@a.example"],
    ["tenant", "remove", "acme"],
    ["tenant", "remove", "unheard-of", "--yes"],
    ["intake", "send", "unheard-of"],
    ["intake", "show", "unheard-of"],
    ["credentials", "set", "acme"],
    ["link", "send", "unheard-of"],
    ["link", "show", "UNHEARD"],
    ["link", "revoke", "unheard-of", "--yes"],
    ["link", "revoke", "acme"],
    ["pin", "lift", "unheard-of", "--yes"],
    ["pin", "set", "unheard-of", "--account", "1", "--yes"],
    ["pin", "set", "acme", "--account", "4E+09", "--yes"],
    ["pin", "set", "acme", "--account", "1"],
    ["pin", "lift", "acme"],
    ["refresh", "unheard-of"],
    ["refresh", "acme"],
    ["disconnect"],
    ["disconnect", "acme", "--all"],
    ["disconnect", "--all"],
    ["disconnect", "acme", "--yes"],
    ["disconnect", "unheard-of", "--yes"],
    ["import", "no-such-file.csv", "--yes"],
    ["export", "--format", "xml"],
    ["status", "now"],
    ["doctor", "--house"],
    ["nonsense"],
    ["tenant", "nonsense"],
    ["--nonsense"],
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_input_is_one_sentence_and_changes_nothing(
    world: World, run: Run, arguments: list[str]
) -> None:
    add(run)
    before = world.everything()
    is_one_sentence(run(*arguments), 2)
    assert world.everything() == before


COMMANDS = [
    ["tenant", "add", "acme", "--admin-email", "a@b.example"],
    ["tenant", "list"],
    ["tenant", "show", "acme"],
    ["tenant", "change", "acme", "--admin-email", "a@b.example"],
    ["tenant", "remove", "acme", "--yes"],
    ["intake", "send", "acme"],
    ["intake", "show", "acme"],
    ["credentials", "set", "acme"],
    ["link", "send", "acme"],
    ["link", "show", "acme"],
    ["link", "revoke", "acme", "--yes"],
    ["pin", "set", "acme", "--account", "1", "--yes"],
    ["pin", "lift", "acme", "--yes"],
    ["refresh", "acme"],
    ["disconnect", "acme", "--yes"],
    ["disconnect", "--all", "--yes"],
    ["import", "FILE", "--yes"],
    ["export"],
    ["status"],
]


class _Lambda:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def invoke(self, **_arguments: Any) -> Any:
        raise self._error


def denied(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "arn:... is not authorized"}}, "Invoke")


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        pytest.param(EndpointConnectionError(endpoint_url="x"), 1, "out of reach", id="down"),
        pytest.param(denied("AccessDeniedException"), 1, "may not act", id="denied"),
        pytest.param(denied("ExpiredTokenException"), 1, "expired", id="expired"),
        pytest.param(denied("TooManyRequestsException"), 1, "try again", id="throttled"),
        pytest.param(denied("ResourceNotFoundException"), 2, "no stage", id="no such stage"),
        pytest.param(ReadTimeoutError(endpoint_url="x"), 1, "No answer", id="timeout"),
        pytest.param(NoCredentialsError(), 1, "no AWS credentials", id="no credentials"),
        pytest.param(NoRegionError(), 1, "region", id="no region"),
        pytest.param(UnauthorizedSSOTokenError(), 1, "log in to AWS again", id="login has ended"),
    ],
)
def test_aws_down_or_denied_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    error: Exception,
    code: int,
    words: str,
) -> None:
    file = tmp_path / "tenants.csv"
    file.write_text(HEADER + row(1))
    client: Any = boto3.Session.client

    def made(self: boto3.Session, name: str, **given: Any) -> Any:
        return _Lambda(error) if name == "lambda" else client(self, name, **given)

    monkeypatch.setattr(boto3.Session, "client", made)
    monkeypatch.setattr("sys.stdin", typed(f"id\n{SECRET}\n"))
    given = [str(file) if each == "FILE" else each for each in arguments]
    ended = cli.main.main(given)
    captured = capsys.readouterr()
    is_one_sentence(Ran(ended, captured.out, captured.err), code)
    assert words in captured.err
    assert SECRET not in captured.out + captured.err


@pytest.mark.parametrize("form", ["{}", "-{}", "--{}", "--{}=x", "--yes={}", "--json={}"])
@pytest.mark.parametrize(
    "arguments", ["", "credentials", "credentials set acme", "tenant show acme", "import file"]
)
def test_s20_what_no_command_takes_is_not_repeated(run: Run, arguments: str, form: str) -> None:
    """S20: it may be a secret, whatever it was typed as."""
    ran = run(*arguments.split(), form.format(SECRET))
    is_one_sentence(ran, 2)
    assert SECRET not in ran.out + ran.err


@pytest.mark.parametrize("arguments", ["", "tenant"])
def test_nothing_typed_is_answered_by_the_help_alone(run: Run, arguments: str) -> None:
    ran = run(*arguments.split())
    assert (ran.code, ran.err) == (2, "")
    assert "--help" in ran.out


def test_a_profile_that_is_not_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    code = cli.main.main(["status"])
    captured = capsys.readouterr()
    is_one_sentence(Ran(code, captured.out, captured.err), 1)
    assert "AWS_PROFILE" in captured.err


def test_goto_that_does_not_answer_is_not_the_reps_mistake(world: World, run: Run) -> None:
    """The same kind as where AWS does not; nothing else ends with this code."""
    add(run)
    world.goto.script = [ProviderUnreachable("no connection", sent=False)]
    is_one_sentence(run("credentials", "set", "acme", stdin=f"id-acme\n{SECRET}\n"), 1)
    kinds = {kind.kind for kind in RepError.__subclasses__()}
    for kind in kinds:
        with pytest.raises(Stopped) as stopped:
            Service("prod")._judge(Answer.of({"ok": False, "kind": kind}))
        ours = (GoToSilent.kind, StillConnected.kind)
        assert stopped.value.code == (1 if kind in ours else 2)


def test_a_broken_function_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Service, "_invoke", lambda self, payload: None)
    is_one_sentence(run("status"), 1)


def test_a_confirmation_is_typed(world: World, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal the name is asked for; anything else changes nothing."""
    add(run)
    monkeypatch.setattr("cli.typer_app.interactive", lambda: True)
    before = world.everything()
    is_one_sentence(run("tenant", "remove", "acme", stdin="yes\n"), 2)
    assert world.everything() == before
    assert run("tenant", "remove", "acme", stdin="acme\n").code == 0


def test_everybody_is_disconnected_by_one_command(world: World, run: Run) -> None:
    for name in ("acme", "beta"):
        world.connect(world.add_tenant(name))
    world.add_tenant("gamma")
    ran = run("disconnect", "--all", "--yes", "--json")
    assert ran.json == {"disconnected": 2}


def test_help_and_completion_are_there(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help").code == 0
    assert "--install-completion" in run("--help").out
    for arguments in COMMANDS:
        command = [each for each in arguments if re.fullmatch("[a-z]+", each)][:2]
        ran = run(*command[: 2 if command[0] in cli.typer_app.groups else 1], "--help")
        assert "--json" in ran.out
        assert "--stage" in ran.out


def test_the_help_begins_with_what_a_new_rep_needs(run: Run) -> None:
    """Who acts where, how to onboard, and those commands before the others."""
    told = " ".join(run("--help").out.split())
    wanted = ["tenant add", "intake send", "credentials set", "link send", "tenant show"]
    places = [told.index(each) for each in (*wanted, "AWS_PROFILE", "Onboard a", "Look", "Act")]
    assert places == sorted(places)
    for name in cli.typer_app._ORDER:
        assert run(name, "--help").code == 0


@pytest.mark.parametrize(
    ("arguments", "page"),
    [
        ("tenant add acme", "ha-goto tenant add"),
        ("tenant show", "ha-goto tenant show"),
        ("link send acme --stage", "ha-goto link send"),
    ],
)
def test_what_is_missing_is_told_with_the_page_that_helps(
    run: Run, arguments: str, page: str
) -> None:
    ran = run(*arguments.split())
    is_one_sentence(ran, 2)
    assert ran.err.strip().endswith(f"See {page} --help.")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_credentials_come_in_the_encodings_of_windows(
    world: World, run: Run, encoding: str
) -> None:
    """PowerShell and Notepad put a mark in front, or write UTF-16."""
    add(run)
    ran = run("credentials", "set", "acme", stdin=f"id-acme\r\n{SECRET}\r\n".encode(encoding))
    assert ran.code == 0, ran.err
    tenant = world.tenants.known("acme")
    stored = world.secret_store.credentials("acme", tenant.secret_version or "")
    assert (stored.client_id, stored.client_secret) == ("id-acme", SECRET)


def test_credentials_in_no_such_encoding_are_told_in_one_sentence(run: Run) -> None:
    is_one_sentence(run("credentials", "set", "acme", stdin=b"id\n\xff\xfe\xfd"), 2)


def test_swapped_credentials_are_recognized(world: World, run: Run) -> None:
    add(run)
    world.goto.script = [refusal(401, "invalid_client"), refusal(400, "invalid_grant")]
    ran = run("credentials", "set", "acme", stdin=f"{SECRET}\nid-acme\n")
    is_one_sentence(ran, 2)
    assert "swapped" in ran.err
    assert SECRET not in ran.err
    assert world.tenants.known("acme").client_id is None
