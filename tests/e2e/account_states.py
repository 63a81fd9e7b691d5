"""Pages about the account and its permissions (S26, S27, F33), arranged as `states` does."""

from playwright.sync_api import Page, expect

from chalicelib.models import Reason
from chalicelib.permissions import Usable
from chalicelib.web.permission_texts import UNUSABLE
from sandbox.goto.state import DEFAULT_SCOPE
from tests.e2e import story
from tests.e2e.people import Account, allowed, person, tenant_of
from tests.e2e.stage import VIEWPORT, Stage, State
from tests.e2e.story import Tenant


def _allowed(stage: Stage, *accounts: Account, **rights: bool) -> tuple[Tenant, Page]:
    """A tenant that was never connected, and the browser of somebody with these accounts."""
    tenant = tenant_of(stage.cloud, "Acme Analytics")
    email = person(stage.cloud, f"admin@{tenant.name}.example", *accounts, **rights)
    return tenant, allowed(stage.browser, tenant, email, viewport=VIEWPORT)


def _to_choose(stage: Stage) -> Page:
    names = ("Acme Analytics", "Beta Dental", "Gamma Logistics")
    return _allowed(stage, *(Account.new(name) for name in names))[1]


def _taken(stage: Stage) -> Page:
    account = Account.new("Beta Dental")
    story.token(_allowed(stage, account)[1])
    return _allowed(stage, account)[1]


def _not_usable(usable: Usable, **values: str) -> State:
    """What the probe of a connection has found."""

    def arranged(stage: Stage) -> Page:
        tenant, page = stage.connected()
        story.eventually(lambda: tenant.row("tokens").get("usable"), "never probed")
        story.change(tenant, "tokens", usable=usable.value, **values)
        story.reopen(page, tenant)
        return page

    return arranged


def _forbidden(stage: Stage) -> Page:
    """Somebody without the role has connected."""
    tenant, page = _allowed(stage, Account.new("Acme Analytics"), admin=False)
    story.eventually(lambda: _found(tenant) == Usable.FORBIDDEN, "never probed")
    story.reopen(page, tenant)
    expect(page.get_by_text(UNUSABLE[Usable.FORBIDDEN][0])).to_be_visible()
    return page


def _found(tenant: Tenant) -> str:
    return str(tenant.row("tokens").get("usable", {}).get("S"))


ADMIN_CENTER = " ".join(scope for scope in DEFAULT_SCOPE.split() if scope.startswith("identity:"))
"""What is granted where the other box was forgotten."""

ENDED: dict[Reason, State] = {
    Reason.ACCOUNT_TO_CHOOSE: _to_choose,
    Reason.ACCOUNT_TAKEN: _taken,
}

STATES: dict[str, State] = {
    "not-usable-scope-missing": _not_usable(Usable.SCOPE_MISSING, scope=ADMIN_CENTER),
    "not-usable-forbidden": _forbidden,
    "not-usable-account-gone": _not_usable(Usable.ACCOUNT_GONE),
}

HEADLINES = {
    f"not-usable-{usable.value.replace('_', '-')}": text for usable, (text, _) in UNUSABLE.items()
}
