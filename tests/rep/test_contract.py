"""docs/rep-contract.md and docs/rep-command.schema.json against the list of commands itself."""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from chalicelib.errors import RepError
from chalicelib.models import Status
from chalicelib.permissions import Usable
from chalicelib.rep import commands
from chalicelib.rep.bulk_import import MOST_AT_ONCE, MOST_LINES
from chalicelib.rep.caller_identity import Function, bound_to
from chalicelib.rep.commands import AT_ONCE
from chalicelib.rep.health_check import Part
from cli.proof import PROOF_LIFE
from sandbox.environment import ROOT
from tests.support.rep_contract import COMMANDS, PARTS, SCHEMA, check_answer, validator
from tests.support.sts import ANN, Person, proved
from tests.support.stubs import refusal
from tests.support.world import TESTER, World

PAGE = (ROOT / "docs" / "rep-contract.md").read_text()
Ready = Callable[[dict[str, Any]], dict[str, Any]]
OWN = {"command", "proof"}
"""Members of every command, which it does not read itself."""

PROOF = proved({"command": "status"}, 1_800_000_000, "ha-goto-main-rep-command")["proof"]


class Noted(dict[str, Any]):
    """An object of JSON that notes which of its members are read."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__({name: self._noted(value) for name, value in values.items()})
        self.read: set[str] = set()

    @classmethod
    def _noted(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [cls._noted(each) for each in value]
        return cls(value) if isinstance(value, dict) else value

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)


DETAILS = {"display_name": "New", "admin_email": "a@new.example", "also_email": "b@new.example"}
CLIENT = {"client_id": "id-new", "client_secret": "a-secret"}
LINE = {"line": 2, "tenant": "new", **DETAILS, **CLIENT, "refresh_token": "r", "account_key": "77"}
ACME = {"tenant": "acme"}

WHOLE: dict[str, dict[str, Any]] = {
    "tenant_add": {"tenant": "new", **DETAILS, "account_key": "77"},
    "tenant_change": {**ACME, **DETAILS},
    "tenant_list": {"state": "degraded", "after": "degraded/1/acme"},
    "tenant_find": {"text": "acme", "after": "acme"},
    "tenant_show": ACME,
    "tenant_remove": ACME,
    "credentials_set": {**ACME, **CLIENT},
    "link_create": ACME,
    "link_send": {**ACME, "anyway": True},
    "link_revoke": ACME,
    "intake_create": ACME,
    "intake_send": ACME,
    "pin_set": {**ACME, "account": "78"},
    "pin_share": {**ACME, "account": "88"},
    "pin_lift": ACME,
    "refresh": ACME,
    "facts": ACME,
    "retry": {"tenant": "ended"},
    "retry_since": {"ended_since": 0, "after": "acme"},
    "disconnect": ACME,
    "disconnect_all": {"after": "acme"},
    "import_check": {"lines": [LINE]},
    "import_lines": {"lines": [LINE]},
    "export": {"after": "acme"},
    "status": {},
    "doctor": {},
}
"""Each command with everything that it takes."""


def one_ends(world: World) -> None:
    """GoTo refuses a tenant's refresh token, and has confirmed it."""
    world.connect(world.add_tenant("ended"))
    world.pass_until_due("ended")
    world.tick_refused(refusal(400, "invalid_grant", "refresh.token.revoked"))
    for entry in reversed(world.journal.newest("ended", 100)):
        world.fleet_counts.note(entry)


def one_lends(world: World) -> None:
    """A tenant has an account that another may share."""
    added = WHOLE["tenant_add"] | {"tenant": "lent", "account_key": "88"}
    assert world.rep("tenant_add", **added)["ok"]


BEFOREHAND: dict[str, Callable[[World], None]] = {
    **dict.fromkeys(("tenant_list", "status", "retry", "retry_since"), one_ends),
    "pin_share": one_lends,
}
"""What must have happened before some commands."""


@pytest.fixture
def ready(world: World, command: str) -> Ready:
    """The command of the test, once `acme` is connected; runs with what is given."""
    if command in BEFOREHAND:
        BEFOREHAND[command](world)
    world.connect(world.add_tenant())
    world.parts = [Part("well", lambda: None, ""), Part("unwell", lambda: "It is.", "Look.")]

    def run(given: dict[str, Any]) -> dict[str, Any]:
        payload = given if "command" in given else {"command": command, **given}
        answer = commands.run(world.desk(), payload, lambda: TESTER)
        check_answer(command, json.loads(json.dumps(answer)))
        return answer

    return run


def described(command: str) -> dict[str, dict[str, Any]]:
    """Its own members in the schema, with what they refer to."""
    members = PARTS[command]["properties"]
    return {
        name: PARTS[value["$ref"].rpartition("/")[2]] if "$ref" in value else value
        for name, value in members.items()
        if name not in OWN
    }


def required(command: str) -> set[str]:
    return set(PARTS[command]["required"]) - OWN


def is_described(command: str, given: dict[str, Any]) -> bool:
    """Whether the published schema takes a payload, but for its proof."""
    payload = {"command": command, **given, "proof": PROOF}
    return bool(validator(command, closed=False).is_valid(payload))


def test_the_schema_is_one_and_names_every_command() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(COMMANDS) == set(commands._COMMANDS) == set(WHOLE)
    assert {f"{name}.answer" for name in COMMANDS} <= set(PARTS)


@pytest.mark.parametrize("command", COMMANDS)
def test_s32_the_schema_and_the_page_say_which_command_needs_a_proof(command: str) -> None:
    """S32"""
    needed = commands._COMMANDS[command].proof_required
    assert ("proof" in PARTS[command]["required"]) == needed
    assert re.search(
        rf"^\| `{command}` \| `.*` \| {'yes' if needed else 'no'} \|$", PAGE, re.MULTILINE
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_takes_what_is_described_and_nothing_else(command: str, ready: Ready) -> None:
    """And its answer to all of it is as described, which `ready` checks."""
    noted = Noted({"command": command, **WHOLE[command]})
    assert ready(noted)["ok"]
    assert noted.read - OWN == set(WHOLE[command]) == set(described(command))
    assert is_described(command, WHOLE[command])
    for line in noted.get("lines", ()):
        assert line.read == set(LINE) == set(PARTS["line"]["properties"])


@pytest.mark.parametrize("command", COMMANDS)
def test_what_does_not_fit_is_refused(command: str, ready: Ready) -> None:
    """By the service, as by the schema: without what is required, or with another type."""
    whole = WHOLE[command]
    wrong = [{each: whole[each] for each in whole if each != name} for name in required(command)]
    for name, told in described(command).items():
        others = [{**whole, name: value} for value in (7, "text", [7], {"a": 7})]
        unfit = [given for given in others if not is_described(command, given)]
        assert unfit
        # Of what is true or false, anything but true is false.
        wrong += unfit if told["type"] != "boolean" else []
    for given in wrong:
        assert not is_described(command, given)
        assert ready(given)["kind"] == "invalid_input", given


@pytest.mark.parametrize(
    ("command", "given", "lists"),
    [
        ("tenant_list", {}, ["tenants"]),
        ("tenant_list", {"state": "reauthorization_required"}, ["tenants"]),
        ("tenant_find", {"text": "acme"}, ["tenants"]),
        ("tenant_show", ACME, ["timeline"]),
        ("facts", ACME, ["facts"]),
        ("retry_since", {"ended_since": 0}, ["retried"]),
        ("import_check", {"lines": [LINE]}, ["lines"]),
        ("export", {}, ["tenants"]),
        ("status", {}, ["needs_a_person", "ending_soonest"]),
        ("doctor", {}, ["findings"]),
    ],
)
def test_what_a_list_holds_is_described(
    command: str, given: dict[str, Any], lists: list[str], ready: Ready
) -> None:
    answer = ready(given)
    assert all(answer[name] for name in lists)


@pytest.mark.parametrize(
    ("command", "name"),
    [(each, name) for each in COMMANDS for name in sorted({*described(each)} - required(each))],
)
def test_what_is_not_required_may_be_left_out_or_null(
    command: str, name: str, ready: Ready
) -> None:
    # A position belongs to the list that has answered it.
    given = {each: value for each, value in WHOLE[command].items() if each not in (name, "after")}
    nullable = "null" in described(command)[name]["type"]
    for payload in (given, {**given, name: None} if nullable else given):
        assert is_described(command, payload)
        answer = ready(payload)
        assert answer["ok"] or answer["kind"] == "tenant_exists"  # added a moment ago


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_may_be_repeated(command: str, ready: Ready) -> None:
    refuses = {
        "tenant_add": "tenant_exists",
        "retry": "not_connected",
        "facts": "unavailable",
    }
    assert ready(WHOLE[command])["ok"]
    again = ready(WHOLE[command])
    assert again.get("kind") == refuses.get(command)


def test_the_kinds_are_those_of_the_code() -> None:
    kinds = {error.kind for error in RepError.__subclasses__()}
    assert set(PARTS["refusal"]["properties"]["kind"]["examples"]) == kinds
    rows = PAGE.split("## Outcomes")[1].split("##")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE)) == kinds


def test_other_words_and_numbers_are_those_of_the_code() -> None:
    assert set(PARTS["state"]["examples"]) == set(map(str, Status))
    assert set(PARTS["brief"]["properties"]["usable"]["examples"]) == set(map(str, Usable))
    lines = [PARTS[name]["properties"]["lines"] for name in ("import_check", "import_lines")]
    assert [each["maxItems"] for each in lines] == [MOST_LINES, MOST_AT_ONCE]
    assert f"the next {AT_ONCE} " in PARTS["disconnect_all"]["description"]
    assert f"the next {AT_ONCE} " in PARTS["retry_since"]["description"]
    assert f"for {PROOF_LIFE} seconds" in PARTS["proof"]["description"]
    assert f"for {PROOF_LIFE} seconds" in PAGE
    assert f"`X-Amz-Expires` {PROOF_LIFE}," in PAGE


@pytest.mark.parametrize("person", [ANN, Person("KEY", "arn", "a+token/=")], ids=["user", "role"])
def test_s32_the_programs_proof_is_as_described(person: Person) -> None:
    """S32"""
    sent = proved({"command": "status"}, 1_800_000_000, "a-function", person=person)
    validator("proof").validate(sent["proof"])
    whole = set(PARTS["proof"]["properties"])
    assert set(sent["proof"]) == whole - (set() if person.token else {"session_token"})
    for name in PARTS["proof"]["required"]:
        assert not validator("proof").is_valid({**sent["proof"], name: "no such"})


def test_what_comes_later_is_no_break_and_what_is_missing_is(world: World) -> None:
    world.add_tenant()
    answer = world.rep("tenant_show", tenant="acme")
    validator("tenant_show.answer", closed=False).validate({**answer, "added_later": 1})
    with pytest.raises(ValidationError):
        check_answer("tenant_show", {**answer, "added_later": 1})
    for name in answer:
        less = {each: value for each, value in answer.items() if each != name}
        assert not validator("tenant_show.answer", closed=False).is_valid(less)


def test_the_pages_examples_are_as_described() -> None:
    asked, answer, refused = map(json.loads, re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL))
    asked["proof"] = PROOF
    Draft202012Validator(SCHEMA).validate(asked)
    check_answer("tenant_add", answer)
    check_answer("tenant_add", refused)
    assert not Draft202012Validator(SCHEMA).is_valid({**asked, "command": "tenant_show_all"})


def test_s32_the_pages_hash_is_the_services() -> None:
    """S32"""
    [text] = re.findall(r"```text\n(.*)\n```", PAGE)
    [told] = re.findall(r"has the hash\n`([0-9a-f]{64})`", PAGE)
    region, name, nonce, command = json.loads(text)
    function = Function(region, "123456789012", name)
    assert told == hashlib.sha256(text.encode()).hexdigest()
    assert told == bound_to(function, nonce, {**command, "proof": PROOF})
