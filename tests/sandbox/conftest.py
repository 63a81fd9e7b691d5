"""The sandbox GoTo, fresh for each test; its key is made once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from tests.sandbox.client import (
    GoTo,
)


@pytest.fixture(scope="session")
def key() -> RSAKey:
    return RSAKey.generate_key(2048, auto_kid=True)


@pytest.fixture
def make(key: RSAKey) -> Callable[..., GoTo]:
    def build(**switches: Any) -> GoTo:
        return GoTo(key, **switches)

    return build


@pytest.fixture
def goto(make: Callable[..., GoTo]) -> GoTo:
    return make()
