"""People with several accounts, their permissions, and the boxes of a client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.goto.state import DEFAULT_SCOPE, Client
from tests.sandbox.client import CONTROL, DAY, REDIRECT, SECRET, GoTo, answer_of, parsed

PARTNER = "partner@it.example"
KEYS = ["4000000003", "4000000004", "4000000005"]
SCIM = "urn:scim:schemas:extension:getgo:1.0"
PERIOD = "startTime=2027-01-01T00:00:00Z&endTime=2027-01-02T00:00:00Z"
REPORT = f"/call-reports/v1/reports/user-activity?{PERIOD}"


@pytest.fixture
def partner(goto: GoTo) -> GoTo:
    """The partner is logged in; client-1 has every box."""
    goto.state.add_client(Client.new("client-1", SECRET, [REDIRECT], DEFAULT_SCOPE))
    goto.log_in(PARTNER)
    return goto


def put(goto: GoTo, **body: Any) -> int:
    return goto.browser.post("/sandbox/people", json=body, headers=CONTROL).status_code


def connected(goto: GoTo, scope: str = DEFAULT_SCOPE) -> dict[str, Any]:
    url = goto.authorize_url(scope=scope)
    return parsed(goto.exchange(answer_of(goto.decide("allow", url))["code"]))


class TestAccounts:
    def test_s26_who_am_i_lists_every_account(self, partner: GoTo) -> None:
        token = connected(partner)["access_token"]
        items = parsed(partner.call(token))["items"]
        assert [item["accountKey"] for item in items] == KEYS
        scim = parsed(partner.call(token, "/identity/v1/Users/me"))[SCIM]["accounts"]
        assert [row["value"] for row in scim] == KEYS

    def test_s26_the_admin_api_gives_their_names(self, partner: GoTo) -> None:
        named = parsed(partner.call(connected(partner)["access_token"], "/admin/rest/v1/me"))
        assert [(row["key"], row["name"]) for row in named["accounts"]] == [
            ("4000000003", "Partner IT Services"),
            ("4000000004", "Beta Dental"),
            ("4000000005", "Gamma Logistics"),
        ]
        partner.turn(names_readable=False)
        token = connected(partner)["access_token"]
        assert partner.call(token, "/admin/rest/v1/me").status_code == 403

    def test_s26_the_list_comes_in_any_order(self, partner: GoTo) -> None:
        token = connected(partner)["access_token"]
        partner.turn(account_order="reversed")
        items = parsed(partner.call(token))["items"]
        assert [item["accountKey"] for item in items] == KEYS[::-1]
        partner.turn(account_order="shuffled")
        orders = {
            tuple(item["accountKey"] for item in parsed(partner.call(token))["items"])
            for _ in range(40)
        }
        assert len(orders) > 1
        assert all(sorted(order) == KEYS for order in orders)

    def test_two_people_may_share_an_account(self, goto: GoTo) -> None:
        for who in ("one@x.example", "two@x.example"):
            assert put(goto, email=who, accounts=[{"key": "77", "name": "Shared"}]) == 200
        assert goto.state.users["one@x.example"].member_of("77")
        assert goto.state.account_names["77"] == "Shared"

    @pytest.mark.parametrize(
        "body",
        [
            {"email": "x@y.example"},
            {"email": "nobody", "accounts": []},
            {"email": "x@y.example", "accounts": ["77"]},
            {"email": "x@y.example", "accounts": [{"key": ""}]},
            {"email": "x@y.example", "accounts": [{"key": "77", "admin": "yes"}]},
            {"email": "x@y.example", "accounts": [{"key": "77", "boss": True}]},
        ],
    )
    def test_a_person_of_the_wrong_form_is_refused(self, goto: GoTo, body: dict[str, Any]) -> None:
        before = dict(goto.state.users)
        assert put(goto, **body) == 400
        assert goto.state.users == before


class TestPermissions:
    """F33: the token refreshes on, whatever its person may still do."""

    def report(self, goto: GoTo, token: str, account: str = KEYS[0]) -> tuple[int, str | None]:
        answer = goto.call(token, f"{REPORT}&accountKey={account}")
        return answer.status_code, parsed(answer).get("errorCode")

    def set(self, goto: GoTo, **changed: bool) -> None:
        rows = [{"key": KEYS[0], **changed}, {"key": KEYS[1]}]
        assert put(goto, email=PARTNER, accounts=rows) == 200

    @pytest.mark.parametrize("lost", ["admin", "licensed"])
    def test_f33_a_lost_role_or_licence_reads_nothing(self, partner: GoTo, lost: str) -> None:
        answer = connected(partner)
        assert self.report(partner, answer["access_token"]) == (200, None)
        self.set(partner, **{lost: False})
        token = parsed(partner.refresh(answer["refresh_token"]))["access_token"]
        assert self.report(partner, token) == (403, "UNAUTHORIZED")
        assert self.report(partner, token, KEYS[1]) == (200, None)
        self.set(partner)
        assert self.report(partner, token) == (200, None)

    def test_f33_who_was_removed_from_an_account_does_not_see_it(self, partner: GoTo) -> None:
        answer = connected(partner)
        assert put(partner, email=PARTNER, accounts=[{"key": KEYS[1]}]) == 200
        token = parsed(partner.refresh(answer["refresh_token"]))["access_token"]
        assert parsed(partner.call(token)) == {"items": [{"accountKey": KEYS[1]}]}
        assert self.report(partner, token) == (403, "UNAUTHORIZED")

    def test_f33_who_was_removed_from_all_has_none(self, partner: GoTo) -> None:
        token = connected(partner)["access_token"]
        assert put(partner, email=PARTNER, accounts=[]) == 200
        assert parsed(partner.call(token)) == {"items": []}
        assert partner.call(token, REPORT).status_code == 403


class TestBoxes:
    """S27: what the portal's boxes let a client ask for."""

    def tick(self, goto: GoTo, scope: str) -> None:
        body = {"client_id": "client-1", "scope": scope}
        assert goto.browser.post("/sandbox/boxes", json=body, headers=CONTROL).status_code == 200

    def test_s27_a_token_without_the_scope_cannot_write(self, partner: GoTo) -> None:
        def send(scope: str) -> int:
            headers = {"Authorization": f"Bearer {connected(partner, scope)['access_token']}"}
            browser = partner.app.test_client()
            return browser.post("/messaging/v1/messages", headers=headers).status_code

        assert send("identity: cr.v1.read users.v1.read") == 403
        assert send(DEFAULT_SCOPE) == 201

    def test_s27_a_forgotten_box_is_refused_as_invalid_scope(self, partner: GoTo) -> None:
        self.tick(partner, "identity:")
        url = partner.authorize_url(scope="identity: cr.v1.read")
        answer = partner.browser.get(url)
        assert answer_of(answer)["error"] == "invalid_scope"

    def test_s27_or_left_out_of_what_is_granted(self, partner: GoTo) -> None:
        partner.turn(missing_scope="narrow")
        self.tick(partner, "identity:")
        assert connected(partner, "identity: cr.v1.read")["scope"] == "identity:"

    @pytest.mark.parametrize(("applies", "left"), [("new_grants", 200), ("at_once", 403)])
    def test_s27_a_box_unticked_later(
        self, partner: GoTo, applies: str, left: int, make: Callable[..., GoTo]
    ) -> None:
        partner.turn(boxes_apply=applies)
        answer = connected(partner)
        self.tick(partner, "identity: users.v1.read")
        partner.clock.now += DAY
        refreshed = parsed(partner.refresh(answer["refresh_token"]))
        assert ("cr.v1.read" in refreshed["scope"].split()) is (left == 200)
        assert partner.call(refreshed["access_token"], REPORT).status_code == left

    def test_boxes_of_a_client_that_nobody_has_are_refused(self, goto: GoTo) -> None:
        body = {"client_id": "nobody", "scope": "identity:"}
        assert goto.browser.post("/sandbox/boxes", json=body, headers=CONTROL).status_code == 400
