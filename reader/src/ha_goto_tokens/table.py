"""Adapter: reads the `Tokens` table by key and in batches. It never writes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ha_goto_tokens import item as items
from ha_goto_tokens.aws import ASK_AGAIN, ForkedClient, code_of
from ha_goto_tokens.clock import Clock
from ha_goto_tokens.errors import TokenError, Unavailable
from ha_goto_tokens.item import Item
from ha_goto_tokens.process import process

BATCH = 100
"""The most keys in one BatchGetItem."""

BATCH_ATTEMPTS = 5
"""The most calls for one batch, including those for its rest (UnprocessedKeys)."""

BATCH_PAUSE = 0.05
"""Seconds before asking for the rest of a batch; doubled each time."""

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


class OutOfReach(Unavailable):
    """The table did not answer: tokens read before may still be served (F31)."""


Found = Item | TokenError | None
"""A tenant's item; why it could not be read; None if there is none."""


class Table:
    def __init__(
        self,
        client: Callable[[], Any],
        name: str,
        clock: Clock,
        sleep: Callable[[float], None],
    ) -> None:
        """``client`` returns a boto3 client for DynamoDB; ``name`` is the table's name or ARN;
        ``clock`` learns from AWS's answers."""
        self._client = client
        self._name = name
        self._clock = clock
        self._sleep = sleep

    def connect(self) -> None:
        """Make the client now, so that configuration errors are raised here."""
        with process().calling():
            self._client()

    def item(self, tenant: str, *, consistent: bool) -> Item | None:
        """The tenant's item; None if there is none. Raises `Unavailable`."""
        found = self._one(tenant, consistent)
        # Raise here, where no variable holds the raw item: error trackers record variables.
        if isinstance(found, TokenError):
            raise found
        return found

    def items(self, tenants: Iterable[str]) -> dict[str, Found]:
        """The items of many tenants. If one can't be read, returns its error instead."""
        found: dict[str, Found] = {}
        left = iter(tenants)
        while chunk := list(islice(left, BATCH)):
            found |= self._chunk(chunk)
        return found

    def _one(self, tenant: str, consistent: bool) -> Found:
        key = {"tenant": {"S": tenant}}
        try:
            answer = self._call(
                "get_item", TableName=self._name, Key=key, ConsistentRead=consistent
            )
        except (ClientError, BotoCoreError, ForkedClient) as error:
            return _failed(tenant, error)
        return _item(tenant, answer.get("Item"))

    def _call(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        begun = self._clock.monotonic()
        try:
            with process().calling():
                answer: Mapping[str, Any] = getattr(self._client(), operation)(**arguments)
        except ClientError as error:
            self._clock.measure(_date(error.response), begun)
            raise
        self._clock.measure(_date(answer), begun)
        return answer

    def _chunk(self, tenants: Sequence[str]) -> dict[str, Found]:
        """Has an entry for each of the tenants, and no other."""
        found: dict[str, Found] = {}
        left = {self._name: {"Keys": [{"tenant": {"S": tenant}} for tenant in tenants]}}
        for attempt in range(BATCH_ATTEMPTS):
            if attempt:
                self._sleep(BATCH_PAUSE * 2 ** (attempt - 1))
            asked = [key["tenant"]["S"] for part in left.values() for key in part["Keys"]]
            try:
                answer = self._call("batch_get_item", RequestItems=left)
            except (ClientError, BotoCoreError, ForkedClient) as error:
                return found | {tenant: _failed(tenant, error) for tenant in asked}
            left = answer.get("UnprocessedKeys") or {}
            found |= _answered(asked, answer, left)
            if not left:
                return found
        missed = [tenant for tenant in asked if tenant not in found]
        return found | {tenant: _out_of_reach(tenant, "UnprocessedKeys") for tenant in missed}


def _answered(
    asked: Sequence[str], answer: Mapping[str, Any], left: Mapping[str, Any]
) -> dict[str, Found]:
    """A batch's entry for each tenant asked for. If it contains another tenant's item, it answers
    another request, and nothing in it is used (S33)."""
    unprocessed = {key["tenant"]["S"] for part in left.values() for key in part["Keys"]}
    rows: Sequence[Mapping[str, Any]] = next(iter(answer.get("Responses", {}).values()), [])
    by_tenant = {row.get("tenant", {}).get("S"): row for row in rows}
    if not by_tenant.keys() | unprocessed <= set(asked):
        return {tenant: _anothers(tenant) for tenant in asked}
    processed = [tenant for tenant in asked if tenant not in unprocessed]
    return {tenant: _item(tenant, by_tenant.get(tenant)) for tenant in processed}


def _failed(tenant: str, error: ClientError | BotoCoreError | ForkedClient) -> Unavailable:
    """The error for a failed read."""
    if isinstance(error, ForkedClient):
        happened = f"The table can't be read: {error}."
        return Unavailable(tenant, happened, error.what_to_do, whose_turn="operator")
    code = code_of(error)
    if code not in _FORBIDDEN:
        return _out_of_reach(tenant, code)
    return Unavailable(
        tenant,
        _happened(code),
        "The operator must check table, region and the reader policy of this role.",
        whose_turn="operator",
    )


def _out_of_reach(tenant: str, code: str) -> OutOfReach:
    what = "It is throttled: ask" if code in _THROTTLED else "Ask"
    again = f"{what} again in {ASK_AGAIN} s."
    return OutOfReach(tenant, _happened(code), again, retry_after=ASK_AGAIN)


def _happened(code: str) -> str:
    return f"DynamoDB did not answer ({code})."


def _date(answer: Mapping[str, Any]) -> str | None:
    """The `Date` header, if AWS itself answered and not a proxy on the way."""
    about = answer.get("ResponseMetadata", {})
    date = about.get("HTTPHeaders", {}).get("date")
    return date if about.get("RequestId") and isinstance(date, str) else None


def _item(tenant: str, attributes: Mapping[str, Any] | None) -> Found:
    """The tenant's own item: never returns another tenant's, whatever went wrong (S33)."""
    if attributes is None:
        return None
    try:
        found = items.read(attributes)
    except items.Unreadable as unreadable:
        agree = "bring ha-goto-tokens and the service to versions that agree"
        return _unreadable(tenant, str(unreadable), agree)
    return found if found.tenant == tenant else _anothers(tenant)


def _anothers(tenant: str) -> Unavailable:
    look = "find out what answers in DynamoDB's place"
    return _unreadable(tenant, "it answered with another tenant's item", look)


def _unreadable(tenant: str, why: str, what: str) -> Unavailable:
    return Unavailable(
        tenant,
        f"The table can't be read: {why}.",
        f"The operator must {what}.",
        whose_turn="operator",
    )
