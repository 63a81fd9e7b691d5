"""How mails read, all of them."""

import re

import pytest

from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import PROVIDER, Status
from chalicelib.notify.email_templates import Message, letters, write

ENTRIES = [
    JournalEntry(tenant, 0.0, kind, "", "", status=status)
    for tenant, kind, status in (
        *(("acme", kind, None) for kind in Kind),
        *(("acme", Kind(status), status) for status in Status if str(status) in map(str, Kind)),
        *((PROVIDER, kind, None) for kind in Kind),
    )
]

MAILS = [
    pytest.param(
        write(letter, name="Acme Inc.", tenant="acme", text="It ended.", link=None, reader=reader),
        id=f"{entry.kind} to {reader} of {entry.tenant}",
    )
    for entry in ENTRIES
    for reader, letter in letters(entry).items()
]

COMMANDS = re.compile(
    r"(.{8})\b(?:tenant (?:show|change)|link send|intake send|pin set|refresh) acme"
)


@pytest.mark.parametrize("mail", MAILS)
def test_a_name_with_a_full_stop_ends_a_sentence_with_one(mail: Message) -> None:
    assert ".." not in mail.text
    assert ".." not in mail.html


@pytest.mark.parametrize("mail", MAILS)
def test_a_command_can_be_typed_as_it_is_written(mail: Message) -> None:
    """By somebody who has a shell before them, not `ha-goto`'s help."""
    words = " ".join(mail.text.split())
    assert [before for before in COMMANDS.findall(words) if before != "ha-goto "] == []


def test_all_mails_are_looked_at() -> None:
    assert len(MAILS) > 25
