"""What alarms and the dashboard watch: outcomes of refreshes, grouped by who must act on them."""

from collections.abc import Mapping

from chalicelib.refresh import Outcome

GROUPS = {
    "Refreshed": (Outcome.REFRESHED,),
    "Rescued": (Outcome.RESCUED,),
    "AnswersUnstored": (Outcome.LOST,),
    "ProviderFailures": (Outcome.TRANSIENT, Outcome.RATE_LIMITED),
    "OwnFailures": (Outcome.OWN_FAULT, Outcome.STORE_FAILED, Outcome.UNEXPECTED),
    "OutcomeUnknown": (Outcome.WAITING, Outcome.UNCONFIRMED),
    "NeedsPerson": (Outcome.GRANT_REFUSED, Outcome.CLIENT_REFUSED),
}
"""Metrics by name. The outcomes left out are nobody's business: another worker had the tenant, or
the minute was over."""


def of(outcomes: Mapping[str, int]) -> dict[str, float]:
    """The metrics of some refreshes; none where there was nothing to count."""
    found = {
        name: float(sum(outcomes.get(each, 0) for each in kinds)) for name, kinds in GROUPS.items()
    }
    return {name: value for name, value in found.items() if value}
