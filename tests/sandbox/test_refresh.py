"""The sandbox refreshes as GoTo does, under each of its possible rotation rules."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.goto import token_rules
from sandbox.goto.switches import Switches
from sandbox.goto.token_rules import Grant
from tests.sandbox.client import (
    DAY,
    EXPIRED_REQUEST,
    REVOKED,
    SCOPE,
    START,
    GoTo,
    parsed,
)


class TestRefresh:
    def test_a_refresh_token_of_another_client_is_refused(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        stolen = goto.token("client-2:other", grant_type="refresh_token", refresh_token=held)
        assert parsed(stolen)["error"] == "invalid_grant"
        assert goto.refresh(held).status_code == 200

    def test_an_access_token_is_no_refresh_token(self, goto: GoTo) -> None:
        assert goto.refresh(goto.connect()["access_token"]).data == REVOKED

    def test_scope_can_be_narrowed_but_not_widened(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        assert parsed(goto.refresh(held, scope="identity:"))["scope"] == "identity:"
        assert parsed(goto.refresh(held, scope="identity: root"))["error"] == "invalid_scope"
        assert parsed(goto.refresh(held))["scope"] == SCOPE

    def test_late_brings_no_new_refresh_token_before_60_percent(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        goto.clock.now = START + 18 * DAY - 1
        assert "refresh_token" not in parsed(goto.refresh(held))
        goto.clock.now = START + 18 * DAY
        renewed = parsed(goto.refresh(held))["refresh_token"]
        assert renewed != held
        assert goto.refresh(held).data == REVOKED
        assert goto.refresh(renewed).status_code == 200

    def test_late_gives_the_new_token_thirty_days_more(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        goto.clock.now = START + 20 * DAY
        renewed = parsed(goto.refresh(held))["refresh_token"]
        goto.clock.now = START + 50 * DAY - 1
        assert goto.refresh(renewed).status_code == 200

    def test_day_17_then_day_31_is_lost(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        goto.clock.now = START + 17 * DAY
        assert "refresh_token" not in parsed(goto.refresh(held))
        goto.clock.now = START + 31 * DAY
        assert goto.refresh(held).status_code == 400

    def test_never_ends_after_thirty_days_whatever_the_use(self, make: Callable[..., GoTo]) -> None:
        goto = make(rotation="never")
        held = goto.connect()["refresh_token"]
        for day in range(30):
            goto.clock.now = START + day * DAY
            assert "refresh_token" not in parsed(goto.refresh(held))
        goto.clock.now = START + 30 * DAY
        assert goto.refresh(held).status_code == 400

    def test_always_rotates_and_a_reuse_revokes_the_family(self, make: Callable[..., GoTo]) -> None:
        goto = make(rotation="always")
        first = goto.connect()["refresh_token"]
        second = parsed(goto.refresh(first))["refresh_token"]
        third = parsed(goto.refresh(second))
        assert goto.refresh(first).data == REVOKED
        assert goto.refresh(third["refresh_token"]).data == REVOKED
        assert goto.call(third["access_token"]).status_code == 401

    @pytest.mark.parametrize("rotation", ["late", "always"])
    def test_within_the_grace_the_old_one_still_works(
        self, make: Callable[..., GoTo], rotation: str
    ) -> None:
        goto = make(rotation=rotation, rotation_grace=30)
        old = goto.connect()["refresh_token"]
        goto.clock.now += 18 * DAY
        first = parsed(goto.refresh(old))["refresh_token"]
        goto.clock.now += 29
        second = parsed(goto.refresh(old))["refresh_token"]
        assert len({old, first, second}) == 3
        assert goto.refresh(first).status_code == 200
        assert goto.refresh(second).status_code == 200
        goto.clock.now += 1
        assert goto.refresh(old).data == REVOKED

    @pytest.mark.parametrize(
        ("form", "body"),
        [
            ("invalid_grant", b'{"error":"invalid_grant"}'),
            (
                "invalid_request",
                EXPIRED_REQUEST,
            ),
        ],
    )
    def test_expired_has_two_forms(self, make: Callable[..., GoTo], form: str, body: bytes) -> None:
        goto = make(expired_form=form, refresh_token_lifetime=100)
        held = goto.connect()["refresh_token"]
        goto.clock.now += 100
        response = goto.refresh(held)
        assert (response.status_code, response.data) == (400, body)

    def test_of_eight_at_once_with_a_single_use_token_one_wins(
        self, make: Callable[..., GoTo]
    ) -> None:
        goto = make(rotation="always")
        held = goto.connect()["refresh_token"]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: goto.refresh(held).status_code, range(8)))
        assert sorted(answers) == [200] + [400] * 7

    def test_an_unknown_grant_type_is_refused(self, goto: GoTo) -> None:
        response = goto.token(grant_type="password")
        assert response.data == b'{"error":"unsupported_grant_type"}'


class TestRules:
    @pytest.mark.parametrize(
        ("rotation", "every", "days"),
        [
            pytest.param("late", 1, 365, id="late, daily: lives"),
            pytest.param("late", 11, 363, id="late, every 11 days: lives"),
            pytest.param("late", 17, 34, id="late, every 17 days: lost"),
            pytest.param("always", 29, 348, id="always, every 29 days: lives"),
            pytest.param("never", 1, 30, id="never: lost on day 30"),
        ],
    )
    def test_a_year_without_http(self, rotation: str, every: int, days: int) -> None:
        switches = Switches().changed(rotation=rotation)
        names = (f"token-{number}" for number in range(1000))
        held = next(names)
        grant = token_rules.open_grant(Grant("g", "c", "a@b", "s", ()), held, 0, switches)
        day = every
        while day <= 365:
            outcome = token_rules.refresh(grant, held, day * DAY, switches, lambda: next(names))
            if outcome.refusal is not None:
                assert day == days
                return
            grant, held = outcome.grant, outcome.new.id if outcome.new else held
            day += every
        assert day - every == days

    def test_a_family_does_not_grow_for_ever(self) -> None:
        switches = Switches().changed(rotation="always")
        grant = token_rules.open_grant(Grant("g", "c", "a@b", "s", ()), "0", 0, switches)
        for day in range(1, 366):
            outcome = token_rules.refresh(
                grant, str(day - 1), day * DAY, switches, iter([str(day)]).__next__
            )
            grant = outcome.grant
        assert len(grant.tokens) == 30
