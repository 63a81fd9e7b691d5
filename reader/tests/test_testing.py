"""`FakeTokenReader`, which services use in their own tests."""

import pytest

from fakes import run
from ha_goto_tokens import (
    AsyncTokenReader,
    NotConnected,
    ReauthorizationRequired,
    Unavailable,
)
from ha_goto_tokens.testing import FakeTokenReader


@pytest.fixture
def reader() -> FakeTokenReader:
    made = FakeTokenReader()
    made.connect("acme", "a-token", scope="cr.v1.read", account_key="1", usable="yes")
    return made


def test_it_serves_what_the_test_has_connected(reader: FakeTokenReader) -> None:
    token = reader.get("acme")
    assert (token.value, token.scope, token.account_key) == ("a-token", "cr.v1.read", "1")
    assert token.usable == "yes"
    assert "a-token" not in repr(token)
    reader.connect("beta")
    assert set(reader.get_many(["acme", "beta"])) == {"acme", "beta"}
    assert run(AsyncTokenReader(reader).get("beta")).value


def test_it_raises_what_production_raises(reader: FakeTokenReader) -> None:
    with pytest.raises(NotConnected):
        reader.get("nobody")
    reader.kill("acme")
    with pytest.raises(Unavailable):
        reader.get("acme")
    reader.connect("acme")
    reader.pass_(60)
    assert reader.get("acme").value
    reader.end("acme")
    with pytest.raises(ReauthorizationRequired):
        reader.get("acme")
    reader.disconnect("acme")
    with pytest.raises(NotConnected):
        reader.get("acme")


def test_a_rejected_token_is_replaced_and_a_403_is_on_record(reader: FakeTokenReader) -> None:
    token = reader.get("acme")
    newer = reader.rejected(token)
    assert newer.value != token.value
    reader.forbidden(newer)
    assert reader.asked == [
        {"tenant": "acme", "rejected_version": token.version},
        {"tenant": "acme", "forbidden_version": newer.version},
    ]
    assert reader.get("acme").value == newer.value


def test_an_expired_token_is_refreshed(reader: FakeTokenReader) -> None:
    token = reader.get("acme")
    reader.pass_(3_600)
    assert reader.get("acme").version > token.version


def test_an_outage_of_dynamodb_can_be_tried(reader: FakeTokenReader) -> None:
    token = reader.get("acme")
    reader.go_away()
    reader.pass_(600)
    assert reader.get("acme").value == token.value
    with pytest.raises(Unavailable):
        reader.get("beta")
    reader.come_back()
    reader.pass_(30)
    assert reader.get("acme").value == token.value
