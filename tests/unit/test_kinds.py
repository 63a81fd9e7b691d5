"""The kinds of journal entries: one list, and what holds for each."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.journal_entries import (
    LINES,
    MOST_REPEATABLE,
    TRAITS,
    By,
    JournalEntry,
    Kind,
    for_customers,
    lines,
    traits,
)
from chalicelib.models import AuthorizationRequest, Reason, Status
from chalicelib.notify import email_templates
from chalicelib.notify.metrics import Metrics
from chalicelib.refresh.circuit_breaker import Change
from chalicelib.tokens.request_outcomes import ENDS, ending
from chalicelib.web.history_texts import HISTORY

LIBRARY = Path(__file__).parents[2] / "chalicelib"

REQUEST = AuthorizationRequest(
    "k", "acme", 1, "b", "id", "v", "https://acme.example/", "R", 0, 600, "verifier"
)


def entries(*kinds: str) -> list[JournalEntry]:
    """Newest first."""
    return [JournalEntry("acme", -float(n), kind, "x", str(n)) for n, kind in enumerate(kinds)]


def texts(*kinds: str) -> list[int]:
    return [int(entry.text) for entry in lines(entries(*kinds))]


def bare_kinds(path: Path) -> Iterator[str]:
    """Kinds that a module writes as plain text."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
            ("JournalEntry", "_entry")
        ):
            place = 2 if ast.unparse(node.func) == "JournalEntry" else 1
            named = [each.value for each in node.keywords if each.arg == "kind"]
            for given in [*node.args[place : place + 1], *named]:
                if isinstance(given, ast.Constant | ast.JoinedStr):
                    yield f"{path.name}:{node.lineno}: {ast.unparse(given)}"


def test_every_kind_that_is_written_is_in_the_list() -> None:
    assert [bare for path in LIBRARY.rglob("*.py") for bare in bare_kinds(path)] == []


def test_every_reason_has_its_end() -> None:
    """S08: without one, the callback would be our error page and the state not used up."""
    assert list(ENDS) == list(Reason)


def test_every_reason_arises_somewhere() -> None:
    ends = {"models.py", "request_outcomes.py", "texts.py"}
    sources = [path.read_text() for path in LIBRARY.rglob("*.py") if path.name not in ends]
    assert [reason for reason in Reason if f"Reason.{reason.name}" not in "".join(sources)] == []


def test_every_metric_is_counted_by_a_handler() -> None:
    handlers = (LIBRARY.parent / "app.py").read_text()
    counted = [name for name, each in vars(Metrics).items() if name[0] != "_" and callable(each)]
    assert counted
    assert [name for name in counted if f"_metrics().{name}(" not in handlers] == []


def test_an_end_counts_against_the_objective_unless_somebody_else_brought_it_about() -> None:
    """Said here once more, so that a new one is thought about (docs/slo.md)."""
    theirs = {
        Reason.DENIED,
        Reason.SCOPE_REFUSED,
        Reason.CLIENT_REFUSED,
        Reason.OTHER_ACCOUNT,
        Reason.ACCOUNT_TAKEN,
        Reason.ACCOUNT_TO_CHOOSE,
        Reason.ACCOUNT_NOT_CHOSEN,
        Reason.ACCOUNT_UNREADABLE,
        Reason.ACCOUNT_NOT_CONFIRMED,
        Reason.SUPERSEDED,
        Reason.ENDED,
    }
    assert {reason for reason, end in ENDS.items() if not end.counts} == theirs


def test_s29_what_comes_of_pressing_a_link_can_be_repeated() -> None:
    """S29: whoever holds a link presses as often as they like."""
    pressed = {kind for kind in Kind if kind.startswith("authorization_")}
    asked = {
        Kind.ACCOUNT_WANTED,
        Kind.LINK_REQUESTED,
        Kind.REFRESH_ASKED,
        Kind.FACTS_ASKED,
        Kind.TOKEN_REJECTED,
    }
    assert {kind for kind, each in TRAITS.items() if each.repeatable} == pressed | asked


def test_a_metric_outside_of_the_list_is_refused() -> None:
    with pytest.raises(ValueError, match="Unheard"):
        Metrics(print)._tell({"Unheard": 1.0})


def test_kinds_made_of_other_words_are_in_the_list() -> None:
    for reason in set(Reason) - {Reason.ACCOUNT_TO_CHOOSE}:  # which is no end
        assert ending(REQUEST, reason, 0.0).kind in list(Kind)
    for word in (*Change, *(status for status in Status if not status.startswith("awaiting"))):
        assert word in list(Kind)


def test_every_kind_has_its_traits() -> None:
    assert list(TRAITS) == list(Kind)
    told = {kind for kind, _ in email_templates._LETTERS} | email_templates._OF_PROVIDER.keys()
    assert told <= set(Kind)


def test_what_customers_read_of_has_its_sentence() -> None:
    assert {kind for kind, each in TRAITS.items() if each.shown} == HISTORY.keys()


def test_a_kind_that_nobody_knows_is_not_shown_to_customers() -> None:
    """A version that came later wrote it, and this one is back after a rollback."""
    assert list(for_customers(entries("made_up", Kind.CONNECTED))) == entries("_", "connected")[1:]
    assert traits("made_up").by is By.SERVICE


@pytest.mark.parametrize("kind", [Kind.MAIL_BOUNCED, Kind.REFRESH_ASKED, Kind.PROVIDER_DOWN])
def test_what_is_hireanalytixs_own_affair_is_not_shown_to_customers(kind: Kind) -> None:
    assert list(for_customers(entries(kind))) == []


def test_s29_three_lines_at_most_are_of_what_a_stranger_repeats() -> None:
    denied, lasting = [Kind.AUTHORIZATION_DENIED] * 50, [Kind.CONNECTED] * 20
    assert texts(*denied, *lasting) == [0, 1, 2, *range(50, 57)]
    assert texts(Kind.CONNECTED, *denied, *lasting) == [0, 1, 2, 3, *range(51, 57)]
    assert len(texts(*denied, *lasting)) == LINES


def test_s29_where_there_is_nothing_else_a_strangers_lines_are_all_shown() -> None:
    denied = [Kind.AUTHORIZATION_DENIED] * 50
    assert texts(*denied) == list(range(LINES))
    assert texts(*denied, Kind.TENANT_ADDED) == [*range(LINES - 1), 50]
    assert texts() == []


def test_no_more_of_the_history_is_read_than_is_shown() -> None:
    source = iter(entries(*[Kind.CONNECTED] * LINES, Kind.TENANT_ADDED))
    lines(source)
    assert [entry.kind for entry in source] == [Kind.TENANT_ADDED]
    assert MOST_REPEATABLE < LINES
