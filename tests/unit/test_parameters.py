"""A stage's parameters: what is wrong is said in one sentence, before anything is touched."""

import json
import re
import sys
from pathlib import Path

import pytest

from infra import package, parameters, runtime
from infra.deploy import main

GOOD = json.loads((parameters.STAGES / "example.json").read_text())

OWN = {"Front": "host", "HostedZoneId": "Z1", "TenantOrigin": "https://goto.example.com"}
KNOWN = {
    "VisitorIdentity": "required",
    "VisitorKey": "visitor-key-prod",
}
WILDCARD = {"Front": "wildcard", "HostedZoneId": "Z1"}


@pytest.fixture(scope="module")
def template() -> Path:
    return package.build().template


def read(folder: Path, template: Path, text: str, stage: str = "prod") -> dict[str, str]:
    (folder / "prod.json").write_text(text)
    return parameters.read(stage, template, folder)


def test_the_example_is_taken_as_it_is(template: Path) -> None:
    assert parameters.read("example", template) == GOOD | {"Stage": "example"}


@pytest.mark.parametrize(
    "change",
    [
        OWN,
        WILDCARD,
        {"TenantOrigin": "https://goto.example.com"},
        {"VisitorHeader": "X-Visitor"},
        WILDCARD | {"Firewall": "off"},
        KNOWN,
        KNOWN | {"VisitorIdentity": "off"},
    ],
)
def test_each_way_to_stand_in_front_is_taken(
    tmp_path: Path, template: Path, change: dict[str, str]
) -> None:
    given = GOOD | change
    assert read(tmp_path, template, json.dumps(given)) == given | {"Stage": "prod"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"TenantOrigin": None}, "TenantOrigin is missing"),
        ({"MailFrom": None}, "MailFrom is missing"),
        ({"TenantOrgin": "https://a.example"}, "no parameter TenantOrgin"),
        ({"TenantOrigin": "http://{tenant}.example.com"}, "must be an https address"),
        ({"TenantOrigin": "https://{tenant}.example.com/path"}, "TenantOrigin is"),
        ({"GoToTokenUrl": "http://authentication.example.com/token"}, "must be an https address"),
        ({"GoToApiUrl": "api.example.com"}, "must be an https address"),
        ({"GoToClientAuth": "digest"}, "must be one of raw, rfc6749"),
        ({"TokenRate": "0"}, "must be a number from 1 to 100000"),
        ({"TokenRate": "ten"}, "must be a number"),
        ({"MailFrom": "nobody"}, "MailFrom is 'nobody'"),
        ({"Front": "own"}, "must be one of forwarded, host, wildcard"),
        ({"TenantOrigin": "https://{tenent}.example.com"}, "may say {tenant} once"),
        ({"TenantOrigin": "https://{tenant}.{tenant}.example.com"}, "may say {tenant} once"),
        ({"HostedZoneId": "Z1"}, "HostedZoneId is of no use"),
        ({"HostedZoneId": "example.com"}, "HostedZoneId is 'example.com'"),
        ({"Front": "wildcard"}, "HostedZoneId is missing"),
        (OWN | {"TenantOrigin": "https://{tenant}.example.com"}, "one host for all"),
        (OWN | {"TenantOrigin": "https://goto.example.com:8443"}, "no port"),
        (OWN | {"TenantOrigin": "https://GoTo.example.com"}, "small letters"),
        (OWN | {"TenantOrigin": "http://goto.localhost"}, "wants https"),
        (OWN | {"TenantOrigin": "https://localhost"}, "TenantOrigin is 'https://localhost'"),
        (WILDCARD | {"TenantOrigin": "https://goto.example.com"}, "must begin with"),
        (WILDCARD | {"TenantOrigin": "https://a-{tenant}.example.com"}, "must begin with"),
        (OWN | {"VisitorHeader": "X-Visitor"}, "VisitorHeader is for the firewall"),
        ({"VisitorHeader": "X-Visitor", "Firewall": "off"}, "VisitorHeader is for the firewall"),
        ({"VisitorHeader": "X Visitor"}, "VisitorHeader is 'X Visitor'"),
        ({"VisitorIdentity": "on"}, "must be one of off, optional, required"),
        (KNOWN | {"VisitorKey": None}, "VisitorKey is missing"),
        (KNOWN | {"VisitorKey": "a key itself"}, "VisitorKey is none: Name of the secret"),
        (KNOWN | {"VisitorKey": "ha-goto/prod/acme"}, "VisitorKey is none: Name of the secret"),
        (OWN | KNOWN, "VisitorIdentity is for a front that forwards"),
        ({"Stage": "other"}, "is of stage 'other', not 'prod'"),
    ],
)
def test_a_wrong_parameter_is_named(
    tmp_path: Path, template: Path, change: dict[str, str | None], sentence: str
) -> None:
    given = {name: value for name, value in (GOOD | change).items() if value is not None}
    with pytest.raises(parameters.BadParameters, match=re.escape(sentence)) as refused:
        read(tmp_path, template, json.dumps(given))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not valid JSON"),
        ("[]", "must be one object"),
        ('{"TokenRate": 10}', "values are strings"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, template: Path, text: str, sentence: str) -> None:
    with pytest.raises(parameters.BadParameters, match=sentence):
        read(tmp_path, template, text)


def test_a_stage_without_a_file_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the operator sees it: AWS is not asked anything."""
    monkeypatch.setattr("boto3.Session", None)
    monkeypatch.setattr(runtime, "RUNTIME", sys.version_info[:2])
    assert main(["deploy", "nowhere"]) == 1
    assert main(["deploy", "No Where"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "There is no nowhere.json in stages: copy example.json and fill it in."
    assert said[1].startswith("'No Where' is not a valid stage name")


def test_this_machine_needs_no_https() -> None:
    for here in ("http://127.0.0.1:8000/token", "http://acme.localhost:8080", "http://localhost"):
        parameters.check({"XUrl": here}, {"XUrl": {"Type": "String"}})
