"""That no word of a page is outside of `web/texts.py`."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from chalicelib.connect.page_views import Details, Form, Notice, SettingsView, Whom
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import Connection, Reason, Status, Tenant
from chalicelib.web import pages, texts

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


@pytest.fixture(autouse=True)
def marked_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "texts", PSEUDO)


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
        "tenant": Tenant("Tenänt", "", name="t", redirect_uri=""),
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
    form = Form("", Whom("Tenänt", "tenänt", "pérson"))
    page = pages.settings_page(VIEWS[number], form)
    assert foreign(page) == []
    assert '<html lang="xx">' in page


def test_messages_have_every_word_from_the_catalogue() -> None:
    for message in PSEUDO.ERRORS.values():
        page = pages.message_page(message, REFERENCE, csrf="0")
        assert foreign(page) == []


def test_the_question_before_another_link_has_every_word_from_the_catalogue() -> None:
    held, opened = (
        Tenant("Tenänt", "x@pérson.example", name="t", redirect_uri="") for _ in range(2)
    )
    assert foreign(pages.switch_page(held, opened, Form(""), "")) == []


def test_the_catalogue_says_everything() -> None:
    assert texts.STATUSES.keys() == set(Status)
    assert texts.NOTICES.keys() == set(Reason)
