"""S19: whom the keys of refresh tokens, codes and client secrets serve, whatever IAM says."""

from collections.abc import Iterable

import pytest

from infra.cfn_intrinsics import ACCOUNT, REGION
from infra.roles import role
from tests.policies import roles
from tests.policies.evaluator import EVERYTHING, Request, evaluate
from tests.policies.roles import FUNCTIONS, MADE_UP, Roles
from tests.support.authorised import key_arn

SECRET_KEYS = {
    "GrantsKey": {
        "Complete",
        "Intake",
        "RefreshTick",
        "RefreshLane",
        "RefreshNow",
        "Rescue",
        "AfterRestore",
        "RepCommand",
    },
    "RequestsKey": {"APIHandler", "Complete", "RefreshTick", "RefreshLane", "Rescue"},
    "SecretsKey": {
        "Complete",
        "Intake",
        "RefreshTick",
        "RefreshLane",
        "RefreshNow",
        "Rescue",
        "RepCommand",
    },
}
"""Keys whose policies name the roles that they serve."""

USES = ("CreateGrant", "Decrypt", "Encrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo")
SERVICES = ("dynamodb", "sqs", "secretsmanager", "s3")
SOMEBODY = f"arn:aws:iam::{ACCOUNT}:role/a-developer"
OPERATOR = f"arn:aws:iam::{ACCOUNT}:role/an-operator"
ALLOWED, DENIED = "Allowed", "ImplicitlyDenied"


@pytest.fixture(scope="module")
def packaged() -> Roles:
    return roles.packaged()


def use(
    held: Roles, key: str, action: str, who: str, via: str | None, first: str | None = None
) -> Request:
    """One use of a key; ``via``: the service that asks for ``who``; ``first``: whom he asked."""
    context = {"aws:PrincipalArn": who}
    if via is not None:
        context |= {
            "kms:ViaService": f"{via}.{REGION}.amazonaws.com",
            "aws:CalledViaFirst": f"{first or via}.amazonaws.com",
        }
    return Request(f"kms:{action}", key_arn(key), context, who, held.keys[key])


def served(requests: Iterable[Request]) -> set[str]:
    """What comes of it where the caller's own policy allows everything."""
    return set(evaluate([EVERYTHING], list(requests)))


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_s19_all_of_iam_opens_no_key(packaged: Roles, key: str) -> None:
    """S19: `kms:*` and `dynamodb:*` in a policy of his own are not enough, by whatever service."""
    requests = [
        use(packaged, key, action, SOMEBODY, via) for action in USES for via in (*SERVICES, None)
    ]
    assert served(requests) == {DENIED}


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_s19_a_key_serves_its_functions_and_no_other(packaged: Roles, key: str) -> None:
    """S19: not even if a policy of theirs went wrong; nor roles of another stack."""
    via = "secretsmanager" if key == "SecretsKey" else "dynamodb"
    whom = {
        function
        for function in FUNCTIONS
        if served([use(packaged, key, "Decrypt", roles.principal(function), via)]) == {ALLOWED}
    }
    assert whom == SECRET_KEYS[key]
    elsewhere = [roles.principal(name).replace("product-", "other-product-") for name in FUNCTIONS]
    assert served(use(packaged, key, "Decrypt", who, via) for who in elsewhere) == {DENIED}


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_s19_functions_use_a_key_through_its_service_alone(packaged: Roles, key: str) -> None:
    """S19: a ciphertext that somebody carries off is opened by nobody."""
    who = [roles.principal(function) for function in FUNCTIONS]
    assert served(use(packaged, key, "Decrypt", each, None) for each in who) == {DENIED}
    assert served(use(packaged, key, "CreateGrant", each, "dynamodb") for each in who) == {DENIED}


@pytest.mark.parametrize("key", [*SECRET_KEYS, "TokensKey", "RecordsKey", "OperationsKey"])
def test_a_key_stays_within_the_accounts_reach(packaged: Roles, key: str) -> None:
    """Nobody locks himself out: its policy can be put anew, its deletion called off."""
    actions = ("PutKeyPolicy", "CancelKeyDeletion", "EnableKey", "DescribeKey", "RevokeGrant")
    assert served(use(packaged, key, action, SOMEBODY, None) for action in actions) == {ALLOWED}


@pytest.mark.parametrize("key", ["GrantsKey", "RequestsKey", "TokensKey", "RecordsKey"])
def test_whoever_deploys_makes_tables_through_cloudformation(packaged: Roles, key: str) -> None:
    """All that AWS wants of those who put a table under a key."""
    actions = (*USES, "DescribeKey")
    requests = [
        use(packaged, key, action, OPERATOR, "dynamodb", "cloudformation") for action in actions
    ]
    assert served(requests) == {ALLOWED}


def test_f19_named_operators_restore_a_table_and_move_messages_back(packaged: Roles) -> None:
    """F19: while they are named, they alone; unnamed, nobody."""
    named = roles.packaged(KeyOperators=f"{OPERATOR},arn:aws:iam::{ACCOUNT}:role/deploys-*")
    restoring = [("dynamodb", action) for action in (*USES, "DescribeKey")]
    moving = [("sqs", action) for action in ("Decrypt", "GenerateDataKey")]

    def whole(held: Roles, who: str) -> set[str]:
        return served(
            use(held, "GrantsKey", action, who, via) for via, action in restoring + moving
        )

    assert whole(named, OPERATOR) == {ALLOWED}
    assert whole(named, f"arn:aws:iam::{ACCOUNT}:role/deploys-it") == {ALLOWED}
    assert DENIED in whole(named, SOMEBODY)
    assert DENIED in whole(packaged, OPERATOR)
    assert served([use(named, "SecretsKey", "Decrypt", OPERATOR, "secretsmanager")]) == {DENIED}


def test_s19_tokens_are_opened_through_dynamodb_by_those_whom_iam_allows(packaged: Roles) -> None:
    """S19: readers have roles that this stack does not know."""
    assert served([use(packaged, "TokensKey", "Decrypt", SOMEBODY, "dynamodb")]) == {ALLOWED}
    assert served(use(packaged, "TokensKey", "Decrypt", SOMEBODY, via) for via in (None, "s3")) == {
        DENIED
    }
    asked = [use(packaged, "TokensKey", "Decrypt", SOMEBODY, "dynamodb")]
    assert evaluate([], asked) == [DENIED]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_roles_name_is_never_cut_short(function: str) -> None:
    """CloudFormation shortens names of more than 64 characters, and no pattern would fit."""
    longest = f"ha-goto-{'s' * 20}"
    assert len(f"{longest}-{role(function)}-{MADE_UP}") <= 64
