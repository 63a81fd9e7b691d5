"""S19, S21: the table of roles, and how it is expanded; what comes of it is in the other tests."""

import json
from pathlib import Path

import pytest

from chalicelib.dynamodb import provider_health, rows
from chalicelib.dynamodb.fleet import ACCOUNT_NOT_KNOWN, NOT_USABLE
from chalicelib.models import Status
from infra import cloudformation, package, roles

NOT_LOGS = ("WriteLogs", "SendTraces")


def expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str) -> list[roles.Statement]:
    """The statements of `Complete` where the table says this of it, without its log."""
    sets = "sets: {FACTS: [tenant, status], MORE: [FACTS, at]}\n"
    table = tmp_path / "roles.yaml"
    table.write_text(f"{sets}functions: {{Complete: {said}}}\n")
    monkeypatch.setattr(roles, "TABLE", table)
    return [one for one in roles.policies()["Complete"] if one["Sid"] not in NOT_LOGS]


def keys(statements: list[roles.Statement]) -> dict[str, list[str]]:
    return {one["Sid"]: one["Action"] for one in statements if one["Action"][0].startswith("kms:")}


def test_s21_the_table_is_read_in_five_minutes() -> None:
    """S21: 300 lines at most."""
    assert len(roles.TABLE.read_text().splitlines()) <= 300


def test_s19_its_sets_are_those_of_the_product() -> None:
    """S19: attributes that are no secret, and others that the product lists too."""
    sets = cloudformation.load(roles.TABLE.read_text())["sets"]
    assert sets["NON_SECRET"] == list(rows.NON_SECRET)
    assert sets["GRANT_NON_SECRET"] == list(rows.GRANT_NON_SECRET)
    assert sets["SETTLED"] == list(rows.SETTLED)
    assert sets["ANSWERS"] + sets["CIRCUIT"] == list(provider_health.ATTRIBUTES)
    assert sets["COUNTS"] == ["tenant", *Status, ACCOUNT_NOT_KNOWN, NOT_USABLE]


def test_s19_a_key_that_is_only_read_by_encrypts_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """S19: what a role may do with a key follows from what it does with the tables under it."""
    read = keys(expanded(monkeypatch, tmp_path, "{tables: {Tokens: {get: }, Links: {get: }}}"))
    assert read == {
        "TokensKeyThroughDynamoDB": ["kms:Decrypt", "kms:DescribeKey"],
        "RecordsKeyThroughDynamoDB": ["kms:Decrypt", "kms:DescribeKey"],
    }
    both = "{tables: {Tokens: {get: }, Links: {put: [link]}, Tenants: {get: }}}"
    written = keys(expanded(monkeypatch, tmp_path, both))
    assert written["TokensKeyThroughDynamoDB"] == read["TokensKeyThroughDynamoDB"]
    assert "kms:Encrypt" in written["RecordsKeyThroughDynamoDB"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("{secrets: [GetSecretValue]}", {"SecretsKeyThroughSecretsManager": ["kms:Decrypt"]}),
        (
            "{secrets: [PutSecretValue]}",
            {"SecretsKeyThroughSecretsManager": ["kms:Decrypt", "kms:GenerateDataKey"]},
        ),
        ("{queues: {RescueQueue: [ReceiveMessage]}}", {"GrantsKeyThroughSQS": ["kms:Decrypt"]}),
        (
            "{queues: {RescueQueue: [SendMessage]}}",
            {"GrantsKeyThroughSQS": ["kms:Decrypt", "kms:GenerateDataKey*"]},
        ),
        ("{queues: {Unannounced: [SendMessage]}}", {}),
        ("{invokes: [Intake]}", {}),
    ],
)
def test_s19_secrets_and_queues_bring_their_keys(
    said: str, expected: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """S19: a queue under SQS's own key brings none."""
    assert keys(expanded(monkeypatch, tmp_path, said)) == expected


def test_s21_a_set_stands_for_its_attributes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """S21: and a row that names attributes allows no other, nor a request that names none."""
    said = "{tables: {Journal: {put: [MORE, who], query: [FACTS]}}}"
    put, query, _ = expanded(monkeypatch, tmp_path, said)
    assert put["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:Attributes": ["tenant", "status", "at", "who"]},
        "Null": {"dynamodb:Attributes": "false"},
        "StringEqualsIfExists": {"dynamodb:ReturnValues": ["NONE"]},
    }
    assert query["Condition"]["StringEqualsIfExists"] == {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("{tables: {Journal: {put: }}}", "a row that writes lists its attributes"),
        ("{tables: {Journal: {'get, put': [at]}}}", "a row that writes lists its attributes"),
        ("{tables: {Journal: {update: {keys: a}}}}", "a row that writes lists its attributes"),
        ("{tables: {Journal: {get returning ALL_OLD: }}}", "what a read returns"),
        ("{tables: {Journal: {stream: [at]}}}", "no verb stream"),
        ("{tables: {Journal: {puts: [at]}}}", "no verb puts"),
        ("{tables: {Journal: {put: [FACT]}}}", "no set FACT"),
        ("{tables: {Journal: {put returning ALL: [at]}}}", "no returned value ALL"),
        ("{tables: {Journals: {get: }}}", "no table Journals"),
        ("{tables: {Journal: {get: , get: [at]}}}", "`get` appears twice"),
        ("{looks_at: [Tokens]}", "no key Tokens"),
        ("{publishes: [Buss]}", "no bus Buss"),
        ("{queues: {Rescue: [SendMessage]}}", "no queue Rescue"),
        ("{table: {Journal: {get: }}}", "no part of Complete table"),
    ],
)
def test_s21_a_table_that_is_misspelt_is_refused(
    said: str, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """S21: nothing is packaged of it, and nothing is allowed that was not meant."""
    with pytest.raises(ValueError, match=told):
        expanded(monkeypatch, tmp_path, said)


def test_s21_the_package_is_made_anew_when_the_table_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """S21: its digest covers the table."""
    table = tmp_path / "infra" / roles.TABLE.name
    table.parent.mkdir()
    table.write_text("functions: {}")
    monkeypatch.setattr(package, "ROOT", tmp_path)
    monkeypatch.setattr(package, "_INPUTS", ("infra",))
    before = package.digest()
    table.write_text("functions: {Complete: {}}")
    assert package.digest() != before


def test_a_role_is_printed_for_its_reader(capsys: pytest.CaptureFixture[str]) -> None:
    assert roles.main(["Intake"]) == 0
    name, _, printed = capsys.readouterr().out.partition("\n")
    assert name == "Intake"
    assert json.loads(printed) == roles.document(roles.policies()["Intake"])
    assert roles.main(["intake"]) == 2
    assert "There is no function intake: APIHandler, " in capsys.readouterr().err
