"""Fixtures for the layers that run on tables: in memory, and marked ones on Amazon's own engine."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from moto import mock_aws

import app as entry
from sandbox import dynamodb_local
from sandbox.environment import Missing
from tests.policies import roles
from tests.policies.evaluator import at_hand
from tests.support import recorder
from tests.support.aws import REGION, create_tables, session
from tests.support.memory import MemoryDynamoDB
from tests.support.site import Site
from tests.support.world import World

_prefixes = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def allowed_by_their_roles() -> Iterator[None]:
    """S21: whatever a function asks AWS for in this run, of whatever suite, its role allows.

    Each worker of a run in parallel is a run of its own. Where the evaluator is missing, the tests
    of `tests/policies` say so.
    """
    recorder.attribute()
    recorder.listen(session())
    yield
    if recorder.heard and at_hand():
        denied = roles.denied(roles.of_sources(), recorder.heard)
        assert denied == [], [(call, recorder.heard[call]) for call in denied]


@pytest.fixture(autouse=True)
def aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up ones: nothing in these layers ever leaves the machine."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


@pytest.fixture(scope="session")
def dynamodb_endpoint() -> Iterator[str]:
    """Amazon's DynamoDB Local, once for the whole run."""
    with ExitStack() as running:
        try:
            endpoint = running.enter_context(dynamodb_local.running())
        except Missing as missing:
            pytest.skip(str(missing))
        yield endpoint


@pytest.fixture
def aws() -> Iterator[None]:
    """Secrets Manager and the like, in process."""
    with mock_aws():
        yield


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests marked ``engines`` are about conditions, transactions or indexes: they run on Amazon's
    own DynamoDB Local as well. All others run on tables in memory, which are held to it."""
    marked = {mark.name for mark in metafunc.definition.iter_markers()}
    by_hand = any(
        "world" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")
    )
    if "world" in metafunc.fixturenames and not by_hand:
        engines = ["memory", "dynamodb-local"] if "engines" in marked else ["memory"]
        metafunc.parametrize("world", engines, indirect=True)


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A fresh deployment in the small."""
    with mock_aws():
        client: Any = MemoryDynamoDB()
        if request.param == "dynamodb-local":
            endpoint = request.getfixturevalue("dynamodb_endpoint")
            client = session().create_client("dynamodb", REGION, endpoint_url=endpoint)
        yield World(client, create_tables(client, f"t{next(_prefixes)}-"))


@pytest.fixture
def site(world: World, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A browser before `app.py`, which runs on the world's tables and clock."""
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(entry, "deployment", lambda: world.deployment)
    return Site(world)
