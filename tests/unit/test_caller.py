"""S32: who calls a rep's command is what AWS says of a proof, which serves one command, once.

The proofs are made by the rep's program, and checked by an STS that recomputes every signature.
"""

import itertools
from contextlib import nullcontext
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from chalicelib import config
from chalicelib.durations import CALLER_PROOF_LIFE
from chalicelib.dynamodb.links import Proofs
from chalicelib.dynamodb.table import tables_of
from chalicelib.errors import CallerRefused, DependencyUnavailable, ProviderUnreachable
from chalicelib.goto.http import Outbound
from chalicelib.goto.oauth import Answer
from chalicelib.rep.caller_identity import LONGEST_SESSION_TOKEN, REQUEST_HEADER, CallerIdentity
from cli import proof as program
from infra.cfn_intrinsics import ACCOUNT, REGION
from tests.support.aws import create_tables, environment
from tests.support.memory import MemoryDynamoDB
from tests.support.sts import ANN, ENDPOINT, Person, Sts, proved

SIGNED_AT = 1_780_000_000
"""Epoch seconds."""

FUNCTION = "ha-goto-prod-rep-command"
ASKED = {"command": "disconnect", "tenant": "acme"}
ELSEWHERE = "666666666666"


def arn(function: str = FUNCTION, region: str = REGION, account: str = ACCOUNT) -> str:
    return f"arn:aws:lambda:{region}:{account}:function:{function}"


class Service:
    """The service at one moment, and the STS that it asks."""

    def __init__(self, *people: Person, late: float = 1, sts: Outbound | None = None) -> None:
        self.sts = Sts(lambda: SIGNED_AT, *people)
        client: Any = MemoryDynamoDB()
        tables = tables_of(client, config.load(environment(create_tables(client, "t-"))))
        self.proofs = Proofs(tables)
        self._callers = CallerIdentity(
            endpoint=ENDPOINT,
            outbound=sts or self.sts,
            proofs=self.proofs,
            clock=lambda: SIGNED_AT + late,
        )

    def who(self, payload: dict[str, Any], at: str = arn()) -> str:
        return self._callers.identify(payload, "number", at).who

    def refuses(self, payload: dict[str, Any], at: str = arn()) -> str:
        with pytest.raises(CallerRefused) as refused:
            self.who(payload, at)
        return str(refused.value)


def signed(asked: dict[str, Any] = ASKED, **given: Any) -> dict[str, Any]:
    return proved(asked, SIGNED_AT, FUNCTION, **given)


def with_member(**members: Any) -> dict[str, Any]:
    """A proof that holds, with other members."""
    sent = signed()
    return sent | {"proof": sent["proof"] | members}


def test_a_proof_names_who_signed_and_where_to_find_the_call() -> None:
    sent = signed({**ASKED, "by": "somebody else"})
    for qualified in (arn(), f"{arn()}:live"):
        caller = Service()._callers.identify(sent, "number", qualified)
        assert caller == ("user/ann", "number", True)


@pytest.mark.parametrize(
    ("claim", "named"),
    [
        ("ann@laptop", "ann@laptop (not verified)"),
        ("ann\nverified: root", "somebody (not verified)"),
        ("\u0430nn", "somebody (not verified)"),
        ("a" * 81, "somebody (not verified)"),
        (7, "somebody (not verified)"),
        (None, "somebody (not verified)"),
    ],
)
def test_who_proves_nothing_is_named_so(claim: object, named: str) -> None:
    service = Service()
    caller = service._callers.identify({"by": claim}, "number", arn())
    assert (caller.who, caller.proved) == (named, False)
    assert service.sts.asked == []


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"command": "disconnect_all"}, id="another command"),
        pytest.param({"tenant": "beta"}, id="another tenant"),
        pytest.param({"after": "acme"}, id="one more member"),
        pytest.param({"by": "somebody"}, id="a name"),
        pytest.param({"tenant": None}, id="nothing for a name"),
    ],
)
def test_s32_a_proof_serves_no_other_payload(changed: dict[str, Any]) -> None:
    """S32: and is not used up by the attempt."""
    service, sent = Service(), signed()
    assert "does not confirm" in service.refuses(sent | changed)
    assert service.who(sent) == "user/ann"


def test_s32_a_proof_serves_no_payload_with_less_in_it() -> None:
    """S32: a member that is left out changes the command as well."""
    sent = signed({**ASKED, "after": "acme"})
    del sent["after"]
    Service().refuses(sent)


def test_s32_a_proof_serves_no_other_function_stage_region_or_account() -> None:
    """S32: nor does a signature that holds in another account serve in ours."""
    service, sent = Service(), signed()
    for other in (
        arn("ha-goto-test-rep-command"),
        arn("ha-goto-prod-refresh-now"),
        arn(region="eu-central-1"),
        arn(account=ELSEWHERE),
    ):
        assert "account of this stage" in service.refuses(sent, other)
    stranger = Person("THEIRKEY", f"arn:aws:iam::{ELSEWHERE}:user/ann")
    assert "account of this stage" in Service(stranger).refuses(signed(person=stranger))


def test_s32_a_proof_serves_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """S32: the same again, and another command under the same nonce, are refused."""
    monkeypatch.setattr("cli.proof.secrets.token_hex", lambda _: "0" * 32)
    service, sent = Service(), signed()
    assert service.who(sent) == "user/ann"
    assert "already been used" in service.refuses(sent)
    assert "already been used" in service.refuses(signed({"command": "disconnect_all"}))


@pytest.mark.parametrize(
    ("late", "taken"),
    [
        (-CALLER_PROOF_LIFE - 1, False),
        (-CALLER_PROOF_LIFE, True),
        (CALLER_PROOF_LIFE, True),
        (CALLER_PROOF_LIFE + 1, False),
    ],
)
def test_s32_a_proof_is_good_for_a_minute(late: float, taken: bool) -> None:
    """S32: STS itself takes it for a quarter of an hour, and is not asked."""
    service = Service(late=late)
    with nullcontext() if taken else pytest.raises(CallerRefused, match=r"61 s from now.* NTP"):
        service.who(signed())
    assert bool(service.sts.asked) is taken


@pytest.mark.parametrize(
    "proof",
    [
        "",
        "Action=GetCallerIdentity&Version=2011-06-15&X-Amz-SignedHeaders=host",
        7,
        [],
        {},
        True,
    ],
    ids=["empty", "the former kind", "number", "list", "object", "truth"],
)
def test_s32_what_is_no_proof_never_leaves(proof: object) -> None:
    """S32"""
    service = Service()
    assert "update ha-goto" in service.refuses(ASKED | {"proof": proof})
    assert service.sts.asked == []


WRONG: dict[str, list[object]] = {
    "access_key": ["", "A B", "A/x", "A&Action=x", "A\n", "\u0661" * 20, "A" * 129, None, ["A"]],
    "date": [
        "20260528T202640",
        "20260528T202640Z\n",
        "2026052\u0668T202640Z",
        "20261328T202640Z",
        "20260528T202661Z",
        " 20260528T202640Z",
        "20260528t202640z",
        20260528,
    ],
    "nonce": ["", "0" * 31, "0" * 33, "G" * 32, "A" * 32, "\u0661" * 32, "0" * 32 + "\n", 0],
    "signature": ["", "0" * 63, "0" * 64 + "&X-Amz-Date=x", "F" * 64, "%30" + "0" * 63, None],
    "session_token": ["", "a b", "a\r\nb", "\u00e9", "a" * (LONGEST_SESSION_TOKEN + 1), None],
    "X-Amz-SignedHeaders": ["host", f"host;{REQUEST_HEADER}"],
    "expires": ["86400"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_s32_a_member_of_another_form_is_refused_unasked(name: str, value: object) -> None:
    """S32: no digit of another script, no line's end, no second parameter, nothing unknown."""
    service = Service()
    assert "update ha-goto" in service.refuses(with_member(**{name: value}))
    assert service.sts.asked == []


@pytest.mark.parametrize("name", ["access_key", "date", "nonce", "signature"])
def test_s32_every_member_is_needed(name: str) -> None:
    """S32"""
    service, sent = Service(), signed()
    del sent["proof"][name]
    assert "update ha-goto" in service.refuses(sent)
    assert service.sts.asked == []


@pytest.mark.parametrize(
    "members",
    [
        {"access_key": "BOBSKEY"},
        {"access_key": "NOBODYSKEY"},
        {"date": "20260528T202641Z"},
        {"nonce": "0" * 32},
        {"signature": "0" * 64},
        {"session_token": "of-another-session"},
    ],
    ids=lambda members: next(iter(members)),
)
def test_s32_every_member_is_covered_by_the_signature(members: dict[str, str]) -> None:
    """S32"""
    bob = Person("BOBSKEY", f"arn:aws:iam::{ACCOUNT}:user/bob")
    assert "does not confirm" in Service(ANN, bob).refuses(with_member(**members))


def test_s32_sts_is_asked_with_each_parameter_once_and_in_our_words() -> None:
    """S32: whatever the caller has signed, one action, life, scope and set of headers serves."""
    token = "of+a/session=="
    ann = replace(ANN, token=token)
    service = Service(ann)
    assert service.who(signed(person=ann)) == "user/ann"
    [(address, headers)] = service.sts.asked
    assert address.startswith(f"{ENDPOINT}/?")
    pairs = parse_qsl(urlsplit(address).query, strict_parsing=True)
    given = dict(pairs)
    assert len(pairs) == len(given)
    assert given.pop("X-Amz-Signature")
    assert given == {
        "Action": "GetCallerIdentity",
        "Version": "2011-06-15",
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"ANNSKEY/20260528/{REGION}/sts/aws4_request",
        "X-Amz-Date": "20260528T202640Z",
        "X-Amz-Expires": str(CALLER_PROOF_LIFE),
        "X-Amz-SignedHeaders": f"host;{REQUEST_HEADER}",
        "X-Amz-Security-Token": token,
    }
    assert set(headers) == {REQUEST_HEADER}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROOF_LIFE", 900),
        ("REQUEST_HEADER", "x-ha-goto-stage"),
        ("_bound_to", lambda *_: "0" * 64),
    ],
)
def test_s32_what_is_signed_otherwise_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    """S32: for longer, under another header, for no command in particular."""
    monkeypatch.setattr(program, name, value)
    assert "does not confirm" in Service().refuses(signed())


def test_s32_the_program_and_the_service_agree() -> None:
    """S32: two distributions, which share no code."""
    assert program.PROOF_LIFE == CALLER_PROOF_LIFE
    assert program.REQUEST_HEADER == REQUEST_HEADER
    odd = {"command": "import_lines", "lines": [{"b": 1, "a": "\u00e9\ud800\U0001f600", "c": 1.5}]}
    assert Service().who(signed(odd)) == "user/ann"


def test_s32_the_header_tells_nothing_of_a_secret() -> None:
    """S32, S20: the same command twice has nothing in common; the nonce has 128 bits."""
    ann = signed(), signed()
    assert all(len(sent["proof"]["nonce"]) == 32 for sent in ann)
    service = Service()
    for sent in ann:
        service.who(sent)
    hashes = [headers[REQUEST_HEADER] for _, headers in service.sts.asked]
    assert len({*hashes, *(sent["proof"]["nonce"] for sent in ann)}) == 4


def test_s32_a_payload_too_deep_to_hash_is_refused() -> None:
    """S32"""
    deep: dict[str, Any] = {}
    for _ in itertools.repeat(None, 100_000):
        deep = {"a": deep}
    assert "update ha-goto" in Service().refuses(with_member() | {"lines": deep})


@pytest.mark.parametrize(
    ("arn_of_signer", "named"),
    [
        ("iam::{}:user/ann", "user/ann"),
        ("iam::{}:user/staff/ann", "user/staff/ann"),
        ("iam::{}:root", "root"),
        (
            "sts::{}:assumed-role/AWSReservedSSO_Reps_0123456789abcdef/ann@ha.example",
            "assumed-role/AWSReservedSSO_Reps_0123456789abcdef/ann@ha.example",
        ),
        (
            f"sts::{{}}:assumed-role/{FUNCTION}-{REGION}/ann",
            f"assumed-role/{FUNCTION}-{REGION}/ann",
        ),
        ("sts::{}:assumed-role/Reps/ann", "assumed-role/Reps/ann (as they call themselves)"),
        (
            "sts::{}:assumed-role/AWSReservedSSO_Reps/ann",
            "assumed-role/AWSReservedSSO_Reps/ann (as they call themselves)",
        ),
        (
            f"sts::{{}}:assumed-role/{FUNCTION}-eu-central-1/ann",
            f"assumed-role/{FUNCTION}-eu-central-1/ann (as they call themselves)",
        ),
        (
            f"sts::{{}}:assumed-role/{FUNCTION}/ann",
            f"assumed-role/{FUNCTION}/ann (as they call themselves)",
        ),
        ("sts::{}:federated-user/ann", "federated-user/ann (as they call themselves)"),
    ],
)
def test_s32_a_name_that_the_caller_could_choose_is_told_as_theirs(
    arn_of_signer: str, named: str
) -> None:
    """S32: a role's session is named by whoever assumes it, unless the trust policy decides."""
    someone = Person("SOMEKEY", "arn:aws:" + arn_of_signer.format(ACCOUNT))
    assert Service(someone).who(signed(person=someone)) == named


class Answers(Outbound):
    """An STS that answers as it is told to."""

    def __init__(self, status: int = 200, body: str = "", fails: bool = False) -> None:
        self._status, self._body, self._fails = status, body, fails

    def send(self, *_: Any) -> Answer:
        if self._fails:
            raise ProviderUnreachable("no connection in time", sent=False)
        return Answer(self._status, self._body.encode())


NAMED = f"<Arn>{ANN.arn}</Arn>"


@pytest.mark.parametrize(
    "sts",
    [
        Answers(403, NAMED),
        Answers(307, NAMED),
        Answers(200, "<Arn>anything</Arn>"),
        Answers(200, f"<Arn>arn:aws:iam::{ACCOUNT}:user/<b></Arn>"),
        Answers(200, "<Arn>arn:aws:iam::" + "\u0661" * 12 + ":user/ann</Arn>"),
    ],
    ids=["refused", "redirected", "no arn", "markup", "other digits"],
)
def test_what_sts_does_not_confirm_is_refused_and_uses_nothing_up(sts: Outbound) -> None:
    service, sent = Service(sts=sts), signed()
    service.refuses(sent)
    assert service.proofs.spend(sent["proof"]["nonce"], SIGNED_AT)


@pytest.mark.parametrize(
    ("sts", "code"), [(Answers(503), "503"), (Answers(fails=True), "no connection in time")]
)
def test_sts_down_is_a_dependency_and_quotes_no_proof(sts: Outbound, code: str) -> None:
    """S20"""
    with pytest.raises(DependencyUnavailable) as refused:
        Service(sts=sts).who(signed())
    assert str(refused.value) == f"sts: {code}"
