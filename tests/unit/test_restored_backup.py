"""F19: what two tables say of a tenant of which one came back from a backup."""

from dataclasses import replace

import pytest

from chalicelib.models import Connection, Grant, Status
from chalicelib.tokens import restored_backup

GRANT = Grant(
    "acme",
    Status.CONNECTED,
    generation=3,
    version=7,
    client_id="id",
    secret_version="1",
    refresh_expires_at=900,
)
ROW = Connection("acme", Status.CONNECTED, generation=3, version=7, reconnect_by=900)
LATER = replace(ROW, version=8)
ENDED, LIVE = Status.DISCONNECTED, Status.CONNECTED
MUST, BAD = Status.REAUTHORIZATION_REQUIRED, Status.CREDENTIALS_REJECTED


@pytest.mark.parametrize(
    ("grant", "row", "replaced"),
    [
        pytest.param(GRANT, ROW, False, id="in step"),
        pytest.param(None, ROW, True, id="no refresh token at all"),
        pytest.param(GRANT, None, False, id="nothing knows better"),
        pytest.param(GRANT, replace(LATER, reconnect_by=901), True, id="another life"),
        pytest.param(GRANT, LATER, False, id="refreshed, the same life"),
        pytest.param(GRANT, replace(ROW, reconnect_by=901), False, id="another life, not newer"),
        pytest.param(GRANT, replace(ROW, generation=4), True, id="connected anew"),
        pytest.param(GRANT, replace(LATER, generation=2, reconnect_by=1), False, id="the older"),
    ],
)
def test_f19_a_refresh_token_is_replaced_where_the_newer_row_says_so(
    grant: Grant | None, row: Connection | None, replaced: bool
) -> None:
    assert restored_backup._replaced(grant, row) is replaced


@pytest.mark.parametrize(
    ("grant", "row", "in_step"),
    [
        pytest.param(GRANT, ROW, True, id="both alike"),
        pytest.param(GRANT, LATER, False, id="another version"),
        pytest.param(GRANT, replace(ROW, generation=4), False, id="another generation"),
        pytest.param(GRANT, replace(ROW, status=MUST), False, id="another state"),
        pytest.param(replace(GRANT, status=ENDED), None, True, id="removed: counters are left"),
        pytest.param(GRANT, None, False, id="a table that is yet to come back"),
        pytest.param(None, replace(ROW, status=ENDED), False, id="no grant"),
    ],
)
def test_f19_what_the_tables_agree_on_is_in_step(
    grant: Grant | None, row: Connection | None, in_step: bool
) -> None:
    assert restored_backup._in_step(grant, row) is in_step


@pytest.mark.parametrize(
    ("grant", "row", "newest"),
    [
        pytest.param(GRANT, replace(LATER, status=MUST), MUST, id="the later row"),
        pytest.param(replace(GRANT, generation=4, status=BAD), LATER, BAD, id="connected anew"),
        pytest.param(GRANT, replace(ROW, status=MUST), LIVE, id="alike: what is refreshed"),
        pytest.param(replace(GRANT, status=MUST), ROW, LIVE, id="in either table"),
        pytest.param(
            replace(GRANT, status=Status.DEGRADED), replace(ROW, status=BAD), Status.DEGRADED
        ),
        pytest.param(replace(GRANT, status=MUST), replace(ROW, status=BAD), BAD, id="neither"),
        pytest.param(replace(GRANT, status=ENDED), None, ENDED, id="a grant alone"),
        pytest.param(None, ROW, LIVE, id="a row alone"),
    ],
)
def test_f19_the_newest_row_says_what_the_state_is(
    grant: Grant | None, row: Connection | None, newest: Status
) -> None:
    assert restored_backup._newest_status(grant, row) is newest
