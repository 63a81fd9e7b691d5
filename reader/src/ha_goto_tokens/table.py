"""Adapter: the `Tokens` table, read by key and in batches. It never writes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ha_goto_tokens import item as items
from ha_goto_tokens.errors import TokenError, Unavailable
from ha_goto_tokens.item import Item

BATCH = 100
"""Keys that one BatchGetItem takes at most."""

BATCH_ATTEMPTS = 5
"""How often the rest of a batch (UnprocessedKeys) is asked for."""

BATCH_PAUSE = 0.05
"""Seconds before the rest of a batch is asked for again; doubled each time."""

ASK_AGAIN = 5
"""Seconds after which to ask again where AWS names no time."""

_THROTTLED = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_FORBIDDEN = frozenset(
    {"AccessDeniedException", "ResourceNotFoundException", "UnrecognizedClientException"}
)


class Table:
    def __init__(self, client: Any, name: str, sleep: Callable[[float], None]) -> None:
        """``client`` is boto3's for DynamoDB; ``name`` the table's name or ARN."""
        self._client = client
        self._name = name
        self._sleep = sleep

    def item(self, tenant: str, *, consistent: bool) -> Item | None:
        """The tenant's item; None where there is none. Raises `Unavailable`."""
        found = self._one(tenant, consistent)
        # Raised where no variable holds the raw item: error trackers record the variables.
        if isinstance(found, TokenError):
            raise found
        return found

    def items(self, tenants: Iterable[str]) -> dict[str, Item | TokenError | None]:
        """The items of many tenants. What could not be read is its error, not an exception."""
        found: dict[str, Item | TokenError | None] = {}
        left = iter(tenants)
        while chunk := list(islice(left, BATCH)):
            found |= self._chunk(chunk)
        return found

    def _one(self, tenant: str, consistent: bool) -> Item | TokenError | None:
        try:
            answer = self._client.get_item(
                TableName=self._name, Key={"tenant": {"S": tenant}}, ConsistentRead=consistent
            )
        except (ClientError, BotoCoreError) as error:
            return unavailable(tenant, "DynamoDB", code_of(error))
        return _item(tenant, answer.get("Item"))

    def _chunk(self, tenants: Sequence[str]) -> dict[str, Item | TokenError | None]:
        found: dict[str, Item | TokenError | None] = {}
        left = {self._name: {"Keys": [{"tenant": {"S": tenant}} for tenant in tenants]}}
        code = "UnprocessedKeys"
        for attempt in range(BATCH_ATTEMPTS):
            if attempt:
                self._sleep(BATCH_PAUSE * 2 ** (attempt - 1))
            try:
                answer = self._client.batch_get_item(RequestItems=left)
            except (ClientError, BotoCoreError) as error:
                code = code_of(error)
                break
            for attributes in next(iter(answer.get("Responses", {}).values()), []):
                tenant = attributes["tenant"]["S"]
                found[tenant] = _item(tenant, attributes)
            left = answer.get("UnprocessedKeys") or {}
            if not left:
                return {tenant: found.get(tenant) for tenant in tenants}
        asked = {key["tenant"]["S"] for part in left.values() for key in part["Keys"]}
        missed = {tenant: unavailable(tenant, "DynamoDB", code) for tenant in asked}
        return {tenant: found.get(tenant) for tenant in tenants} | missed


def code_of(error: ClientError | BotoCoreError) -> str:
    """What AWS calls it, or the name of botocore's error where AWS did not answer."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "ClientError"))
    return type(error).__name__


def unavailable(tenant: str, service: str, code: str) -> Unavailable:
    """The error for an AWS service that refused or did not answer."""
    happened = f"{service} did not answer ({code})."
    if code in _FORBIDDEN:
        return Unavailable(
            tenant,
            happened,
            "The operator must check table, region and the reader policy of this role.",
            whose_turn="operator",
        )
    what = "It is throttled: ask" if code in _THROTTLED else "Ask"
    return Unavailable(tenant, happened, f"{what} again in {ASK_AGAIN} s.", retry_after=ASK_AGAIN)


def _item(tenant: str, attributes: Mapping[str, Any] | None) -> Item | TokenError | None:
    if attributes is None:
        return None
    try:
        return items.read(attributes)
    except items.Unreadable as unreadable:
        return Unavailable(
            tenant,
            f"The table can't be read: {unreadable}.",
            "The operator must bring ha-goto-tokens and the service to versions that agree.",
            whose_turn="operator",
        )
