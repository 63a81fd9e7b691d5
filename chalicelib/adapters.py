"""Builds the adapters from the settings, each at its first use.

A function loads only the libraries it needs: the web function never imports requests.
"""

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from chalicelib import config
from chalicelib.times import (
    AWS_ATTEMPTS,
    AWS_CONNECT_TIMEOUT,
    AWS_READ_TIMEOUT,
    KEEP_ATTEMPTS,
    KEEP_READ_TIMEOUT,
)

if TYPE_CHECKING:
    from chalicelib.commits import Commits
    from chalicelib.goto import GoTo
    from chalicelib.rescue_queue import RescueQueue
    from chalicelib.store.connections import Connections
    from chalicelib.store.fleet import Fleet
    from chalicelib.store.journal import Journal
    from chalicelib.store.links import Links
    from chalicelib.store.provider import ProviderRow
    from chalicelib.store.requests import AuthorizationRequests
    from chalicelib.store.tables import Tables
    from chalicelib.store.tenants import Tenants
    from chalicelib.vault import Vault

POOL = 32
"""Connections to one AWS service: at least as many as a tick has threads."""


class Adapters:
    @cached_property
    def settings(self) -> config.Settings:
        """The deployment's settings. Raises `Misconfigured`."""
        return config.load()

    @cached_property
    def _tables(self) -> "Tables":
        from chalicelib.store import tables

        return tables.of(self._dynamodb, self.settings)

    @cached_property
    def _tenants(self) -> "Tenants":
        from chalicelib.store.tenants import Tenants

        return Tenants(self._tables)

    @cached_property
    def _links(self) -> "Links":
        from chalicelib.store.links import Links

        return Links(self._tables)

    @cached_property
    def _requests(self) -> "AuthorizationRequests":
        from chalicelib.store.requests import AuthorizationRequests

        return AuthorizationRequests(self._tables)

    @cached_property
    def _connections(self) -> "Connections":
        from chalicelib.store.connections import Connections

        return Connections(self._tables)

    @cached_property
    def _fleet(self) -> "Fleet":
        from chalicelib.store.fleet import Fleet

        return Fleet(self._tables)

    @cached_property
    def _provider(self) -> "ProviderRow":
        from chalicelib.store.provider import ProviderRow

        return ProviderRow(self._tables)

    @cached_property
    def _commits(self) -> "Commits":
        from chalicelib.commits import Commits

        return Commits(self._connections, self._tenants, time.time)

    @cached_property
    def _rescue_queue(self) -> "RescueQueue":
        from chalicelib.rescue_queue import RescueQueue

        client = self._aws("sqs", KEEP_READ_TIMEOUT, KEEP_ATTEMPTS)
        return RescueQueue(client, self.settings.rescue_queue)

    @cached_property
    def _journal(self) -> "Journal":
        from chalicelib.store.journal import Journal

        return Journal(self._tables)

    @cached_property
    def _vault(self) -> "Vault":
        from chalicelib.vault import Vault

        client = self._aws("secretsmanager")
        return Vault(client, self.settings.secret_prefix, self.settings.secret_key)

    def _goto(self, connections: int, ask_deadline: float | None = None) -> "GoTo":
        from chalicelib.goto import GoTo
        from chalicelib.outbound import Outbound

        return GoTo(self.settings, Outbound(connections), ask_deadline)

    @cached_property
    def _dynamodb(self) -> Any:
        return self._aws("dynamodb", KEEP_READ_TIMEOUT, KEEP_ATTEMPTS)

    @cached_property
    def _lambda(self) -> Any:
        return self._aws("lambda")

    @cached_property
    def _session(self) -> Any:
        import botocore.session

        return botocore.session.get_session()

    def _aws(
        self, service: str, read_timeout: int = AWS_READ_TIMEOUT, attempts: int = AWS_ATTEMPTS
    ) -> Any:
        from botocore.config import Config

        settings = Config(
            connect_timeout=AWS_CONNECT_TIMEOUT,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=POOL,
        )
        return self._session.create_client(service, config=settings)
