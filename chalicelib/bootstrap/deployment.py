"""The settings, clients, stores and clocks that every use case is built from. `live` creates them
from the environment; tests use fakes with the same builders."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any, Protocol, TypeVar

import botocore.session
from botocore.config import Config

from chalicelib import config
from chalicelib.aws import lambda_invoke
from chalicelib.aws.secrets_manager import SecretStore
from chalicelib.aws.shared_keys import SharedKeys
from chalicelib.aws.telemetry import emit_metrics, report
from chalicelib.config import Settings
from chalicelib.durations import (
    AWS_ATTEMPTS,
    AWS_CONNECT_TIMEOUT,
    AWS_READ_TIMEOUT,
    KEEP_ATTEMPTS,
    KEEP_READ_TIMEOUT,
)
from chalicelib.dynamodb.authorization_requests import AuthorizationRequests
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.fleet import Fleet
from chalicelib.dynamodb.journal import Journal
from chalicelib.dynamodb.links import Links
from chalicelib.dynamodb.provider_health import ProviderRow
from chalicelib.dynamodb.table import Tables, tables_of
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.goto.oauth import GoToClient
from chalicelib.tokens.rescue_queue import RescueQueue, SqsRescueQueue

POOL = 32
"""Connections to one AWS service: at least as many as a tick has threads."""

Each = TypeVar("Each")
Result = TypeVar("Result")


class Run(Protocol):
    """Applies a function to each item, as `map` does."""

    def __call__(
        self, work: Callable[[Each], Result], each: Iterable[Each], /
    ) -> Iterable[Result]: ...


def pooled(threads: int) -> Run:
    """Work on ``threads`` items at once: one slow item blocks only its own thread (F14)."""

    def run(work: Callable[[Each], Result], each: Iterable[Each], /) -> Iterator[Result]:
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(work, each)

    return run


class Client(Protocol):
    """Makes a client of an AWS service; ``read_timeout`` in seconds."""

    def __call__(
        self, service: str, read_timeout: int = AWS_READ_TIMEOUT, attempts: int = AWS_ATTEMPTS
    ) -> Any: ...


class GoToFor(Protocol):
    """Makes GoTo's client for one invocation; ``ask_deadline`` in seconds."""

    def __call__(self, connections: int, ask_deadline: float | None = None) -> GoToClient: ...


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Everything external that use cases need. Stores and clients are created at first use."""

    settings: Settings
    client: Client
    goto: GoToFor
    report: Callable[[Exception], None]
    threads: Callable[[int], Run] = pooled
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random
    write_metrics: Callable[[str, Mapping[str, float]], None] = emit_metrics

    def invoke_later(self, function: str | None, payload: lambda_invoke.Payload) -> None:
        """Invoke another function of ours without waiting. Raises `DependencyUnavailable`."""
        lambda_invoke.invoke_later(self._lambda, function, payload)

    def invoke_now(
        self, function: str | None, payload: Mapping[str, Any], read_timeout: int
    ) -> dict[str, Any]:
        """Invoke another function of ours, once, and wait ``read_timeout`` seconds for its answer.
        Raises `DependencyUnavailable`."""
        client = self.client("lambda", read_timeout=read_timeout, attempts=1)
        return lambda_invoke.invoke_now(client, function, payload)

    @cached_property
    def tables(self) -> Tables:
        return tables_of(self.dynamodb, self.settings)

    @cached_property
    def tenants(self) -> Tenants:
        return Tenants(self.tables)

    @cached_property
    def links(self) -> Links:
        return Links(self.tables)

    @cached_property
    def requests(self) -> AuthorizationRequests:
        return AuthorizationRequests(self.tables)

    @cached_property
    def connections(self) -> Connections:
        return Connections(self.tables)

    @cached_property
    def journal(self) -> Journal:
        return Journal(self.tables)

    @cached_property
    def fleet(self) -> Fleet:
        return Fleet(self.tables)

    @cached_property
    def provider(self) -> ProviderRow:
        return ProviderRow(self.tables)

    @property
    def reads_accounts(self) -> bool:
        """Whether we can ask GoTo which accounts a token's person has (S25)."""
        return self.settings.api_url is not None

    @cached_property
    def secret_store(self) -> SecretStore:
        client = self.client("secretsmanager")
        return SecretStore(
            client, self.settings.secret_prefix, self.settings.secret_key, self.pause
        )

    @cached_property
    def visitor_keys(self) -> SharedKeys:
        """HA's front signs with these; the client is created when the first token arrives."""
        secret = self.settings.visitor_key or ""
        return SharedKeys(self.client("secretsmanager"), secret, self.clock)

    @cached_property
    def rescue_queue(self) -> RescueQueue:
        client = self.client("sqs", KEEP_READ_TIMEOUT, KEEP_ATTEMPTS)
        return SqsRescueQueue(client, self.settings.rescue_queue)

    @cached_property
    def dynamodb(self) -> Any:
        return self.client("dynamodb", KEEP_READ_TIMEOUT, KEEP_ATTEMPTS)

    @cached_property
    def _lambda(self) -> Any:
        return self.client("lambda")


def namespace(deployment: Deployment) -> str:
    """The namespace of a stage's metrics in CloudWatch."""
    return f"ha-goto-{deployment.settings.stage}"


def live(settings: Settings | None = None) -> Deployment:
    """The deployment for ``settings``, by default the environment's. Raises `Misconfigured`."""
    settings = settings or config.load()
    session = botocore.session.get_session()
    return Deployment(
        settings=settings,
        client=cache(partial(client_of, session)),
        goto=partial(_goto, settings),
        report=_report,
    )


def _report(error: Exception) -> None:
    report("continued after an error", error)


def client_of(
    session: Any, service: str, read_timeout: int = AWS_READ_TIMEOUT, attempts: int = AWS_ATTEMPTS
) -> Any:
    """A client of botocore's ``session`` with our deadlines (S17); ``read_timeout`` in seconds."""
    limits = Config(
        connect_timeout=AWS_CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=POOL,
    )
    return session.create_client(service, config=limits)


def _goto(settings: Settings, connections: int, ask_deadline: float | None = None) -> GoToClient:
    # This imports requests, which slows a cold start: only functions that call GoTo pay for it.
    from chalicelib.goto.client import connect

    return connect(settings, connections, ask_deadline)
