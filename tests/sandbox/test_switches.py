"""The sandbox fails as it is switched, and only so often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from sandbox.goto.console import Console
from sandbox.goto.server import running
from sandbox.goto.switches import Failure, SwitchError, Switches
from tests.sandbox.client import (
    REVOKED,
    SECRET,
    GoTo,
    parsed,
)


class TestFailures:
    def test_failures_are_met_in_order_and_once_each(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        goto.turn(
            fail_next=[
                {"status": 503, "body": "<h1>Down</h1>"},
                {"status": 200, "body": "{", "content_type": "application/json", "delay": 2},
            ]
        )
        first, second, third = (goto.refresh(held) for _ in range(3))
        assert (first.status_code, first.data) == (503, b"<h1>Down</h1>")
        assert first.content_type.startswith("text/html")
        assert (second.status_code, second.data) == (200, b"{")
        assert goto.slept == [2]
        assert third.status_code == 200
        assert "access_token" in parsed(third)

    def test_before_leaves_the_token_alone(self, make: Callable[..., GoTo]) -> None:
        goto = make(rotation="always", rotation_grace=0)
        held = goto.connect()["refresh_token"]
        goto.turn(fail_next=[Failure(500)])
        assert goto.refresh(held).status_code == 500
        assert goto.refresh(held).status_code == 200

    def test_after_rotates_and_loses_the_answer(self, make: Callable[..., GoTo]) -> None:
        goto = make(rotation="always")
        held = goto.connect()["refresh_token"]
        goto.turn(fail_next=[Failure(500, after=True)])
        assert goto.refresh(held).status_code == 500
        assert goto.log()["requests"][-1]["issued"] is not None
        assert goto.refresh(held).data == REVOKED

    def test_status_null_is_the_true_answer_late(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        goto.turn(fail_next=[{"status": None, "delay": 20, "after": True}])
        assert "access_token" in parsed(goto.refresh(held))
        assert goto.slept == [20]

    def test_what_is_held_back_goes_when_it_is_released(self) -> None:
        board = Console(Switches(), lambda: 0.0)
        assert not board.hold(0)
        board.release()
        assert board.hold(60)
        board.turn(rotation="always")
        assert board.hold(60), "only the next failures are held again"
        board.turn(fail_next=[Failure(delay=60)])
        assert not board.hold(0)

    def test_status_0_closes_the_connection(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        goto.turn(fail_next=[{"status": 0, "after": True}])
        form = {"grant_type": "refresh_token", "refresh_token": held}
        with running(goto.app) as url:
            with pytest.raises(requests.ConnectionError):
                requests.post(f"{url}/oauth/token", data=form, auth=("client-1", SECRET), timeout=5)
            again = requests.post(
                f"{url}/oauth/token", data=form, auth=("client-1", SECRET), timeout=5
            )
        assert again.status_code == 200
        assert goto.log()["by_status"] == {"0": 1, "200": 2}

    def test_beyond_the_rate_it_is_429_without_retry_after(self, make: Callable[..., GoTo]) -> None:
        goto = make(rate_per_second=2)
        answers = [goto.refresh("made-up") for _ in range(3)]
        assert [one.status_code for one in answers] == [400, 400, 429]
        assert "Retry-After" not in answers[-1].headers
        goto.clock.now += 1
        assert goto.refresh("made-up").status_code == 400


class TestSwitches:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("access_token_lifetime", 0),
            ("access_token_lifetime", "60"),
            ("refresh_token_lifetime", True),
            ("rotation", "weekly"),
            ("rotation_grace", -1),
            ("omit", "loa"),
            ("omit", ["expires_in"]),
            ("omit", [["loa"]]),
            ("expires_in_as_string", 1),
            ("expired_form", "gone"),
            ("deny_error", "access denied"),
            ("send_iss", 1),
            ("client_auth", None),
            ("rate_per_second", 0),
            ("fail_next", {"status": 503}),
            ("fail_next", [{"state": 503}]),
            ("fail_next", [{"status": 99}]),
            ("fail_next", [{"status": 200, "delay": -1}]),
            ("fail_next", [{"content_type": "text/html\r\nX: y"}]),
        ],
    )
    def test_a_value_a_switch_cannot_take_is_refused_by_name(self, name: str, value: Any) -> None:
        with pytest.raises(SwitchError, match=name):
            Switches().changed(**{name: value})
        with pytest.raises(SwitchError, match=name):
            Switches(**{name: value})

    def test_a_failure_waits_for_its_kind_of_request(self) -> None:
        board = Console(Switches(), lambda: 0.0)
        board.turn(fail_next=[{"status": 500, "grant_type": "authorization_code"}])
        assert board.next_failure("refresh_token") is None
        assert board.next_failure("authorization_code") is not None
        assert board.next_failure("authorization_code") is None

    def test_a_failure_for_an_unknown_kind_of_request_is_refused(self) -> None:
        with pytest.raises(SwitchError, match="grant_type"):
            Switches().changed(fail_next=[{"grant_type": "password"}])

    def test_an_unknown_switch_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(SwitchError, match=r"no switch 'rotatoin'.*rotation_grace"):
            Switches().changed(rotatoin="late")
