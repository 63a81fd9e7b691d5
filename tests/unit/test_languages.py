"""Which language is chosen, and that no word of a page stands outside the catalogue."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import languages, pages, texts
from chalicelib.authorize import Details, Notice, SettingsView
from chalicelib.model import Connection, JournalEntry, Reason, Status, Tenant

NOW = 1_800_000_000.0
REFERENCE = "A2345-B2345"
DATA = ("hireanalytiX", "hireanalyti", "Tenänt", "pérson@example", "pérson", "äntry", "tökən")
"""What a page shows that is nobody's to translate."""


def marked(value: object) -> object:
    """Every sentence in brackets, as a translator's test language has them."""
    match value:
        case str():
            return f"[{value}]"
        case tuple():
            return tuple(marked(part) for part in value)
        case dict():
            return {key: marked(part) for key, part in value.items()}
    return value


PSEUDO = SimpleNamespace(
    **{name: marked(getattr(texts, name)) for name in dir(texts) if name.isupper()}
    | {"LANGUAGE": "xx", "moment": lambda at: "[moment]"}
)


class Seen(HTMLParser):
    """The texts of a page that a person sees or hears."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._mute = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._mute = tag in ("style", "script")
        spoken = ("aria-label", "placeholder", "title", "alt", "data-done", "data-other")
        self.texts += [value for name, value in attrs if name in spoken and value]

    def handle_endtag(self, tag: str) -> None:
        self._mute = False

    def handle_data(self, data: str) -> None:
        if not self._mute:
            self.texts += [data]


def foreign(page: str) -> list[str]:
    """What is left of a page's texts without data and without what the catalogue gave."""
    left = []
    for text in Seen(page).texts:
        rest = re.sub(r"\[[^\[\]]*\]", "", text)
        for data in (*DATA, REFERENCE):
            rest = rest.replace(data, "")
        left += [rest] if re.search(r"[A-WYZa-z]", rest) else []  # the brand's X stands alone
    return left


def view(status: Status, **changed: object) -> SettingsView:
    connection = Connection(
        "t", status, 1, 1, "tökən", next_refresh_at=1, reconnect_by=int(NOW), principal="pérson"
    )
    entry = JournalEntry("t", NOW, "k", "pérson", "äntry")
    values: dict[str, object] = {
        "tenant": Tenant("t", "Tenänt", "", ""),
        "status": status,
        "now": NOW,
        "csrf": "",
        "connected": True,
        "details": Details(connection, (entry,)),
    }
    return SettingsView(**values | changed)  # type: ignore[arg-type]  # checked by the dataclass


VIEWS = [
    *(view(status) for status in Status),
    *(view(Status.CONNECTED, notice=Notice(reason, REFERENCE)) for reason in Reason),
    view(Status.CONNECTED, token="tökən"),
    view(Status.CONNECTED, processing=True),
    view(Status.AWAITING_AUTHORIZATION, connected=False, details=None),
    view(Status.CONNECTED, reconnect_soon=True),
]


@pytest.mark.parametrize("number", range(len(VIEWS)))
def test_the_settings_page_has_every_word_from_the_catalogue(number: int) -> None:
    page = pages.settings_page(VIEWS[number], PSEUDO)
    assert foreign(page) == []
    assert '<html lang="xx">' in page


def test_messages_have_every_word_from_the_catalogue() -> None:
    for message in PSEUDO.ERRORS.values():
        page = pages.message_page(message, REFERENCE, PSEUDO, fresh_link=True)
        assert foreign(page) == []


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        pytest.param(None, "en", id="no header"),
        pytest.param("", "en", id="empty"),
        pytest.param("xx", "xx", id="exact"),
        pytest.param("XX-YY", "xx", id="a region of it, in capitals"),
        pytest.param("fr, xx;q=0.5, en;q=0.4", "xx", id="best that is there"),
        pytest.param("en;q=0.9, xx", "xx", id="no weight is 1"),
        pytest.param("xx;q=0, fr", "en", id="refused"),
        pytest.param("xx;q=nan", "en", id="not a number"),
        pytest.param("xx;q=7", "en", id="out of range"),
        pytest.param("*", "en", id="anything"),
    ],
)
def test_the_best_language_that_is_there_is_chosen(
    accepted: str | None, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(languages.CATALOGUES, "xx", PSEUDO)
    assert languages.preferred(accepted).LANGUAGE == chosen  # noqa: SIM300 - not a constant


@given(st.text())
def test_any_accept_language_is_survived(accepted: str) -> None:
    assert languages.preferred(accepted).LANGUAGE == "en"


def test_every_catalogue_says_everything() -> None:
    """A translation has the names and keys of the English one."""
    for catalogue in languages.CATALOGUES.values():
        assert catalogue.WORDS.keys() == texts.WORDS.keys()
        assert catalogue.STATUSES.keys() == set(Status)
        assert catalogue.NOTICES.keys() == set(Reason)
        assert catalogue.ERRORS.keys() == texts.ERRORS.keys()
