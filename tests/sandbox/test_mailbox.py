"""The local cloud's mails, as a page of the edge: for whom `make run` has told the address."""

import http.client
from collections.abc import Iterator

import pytest

from sandbox.edge import Edge
from sandbox.mailbox import Mailbox

MAILS = [
    {"To": ["a@a.example"], "Subject": "First", "BodyText": "x < y", "BodyHtml": ""},
    {
        "To": ["b@b.example"],
        "Subject": "<script>1</script>",
        "BodyHtml": '<p>"Hello"</p><script>alert(1)</script>',
    },
]


@pytest.fixture
def served() -> Iterator[tuple[Edge, Mailbox, list[str]]]:
    lines: list[str] = []
    box = Mailbox(lambda: MAILS)
    edge = Edge(0, ("127.0.0.1", 1), "", lines.append, mailbox=box)
    yield edge, box, lines
    edge.close()


def get(edge: Edge, path: str) -> tuple[http.client.HTTPResponse, str]:
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer, answer.read().decode()


def test_mails_are_shown_newest_first_and_none_of_their_markup_runs(
    served: tuple[Edge, Mailbox, list[str]],
) -> None:
    edge, box, _ = served
    answer, body = get(edge, box.path)
    assert answer.status == 200
    assert body.index("b@b.example") < body.index("a@a.example")
    assert "<script" not in body
    assert body.count('sandbox="allow-popups allow-popups-to-escape-sandbox"') == 2
    assert "script-src" not in (answer.headers["Content-Security-Policy"] or "")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/mails/", "/mails", "/mails/guessed", "/mails/../mails/x"])
def test_s34_nobody_reads_them_without_the_address(
    served: tuple[Edge, Mailbox, list[str]], path: str
) -> None:
    """S34: they hold links; the address is new in each run, and in no line of the log."""
    edge, box, lines = served
    answer, body = get(edge, path)
    assert (answer.status, "example" in body) == (404, False)
    get(edge, box.path)
    assert [line for line in lines if box.path in line] == []
    assert Mailbox(lambda: ()).path != box.path


def test_no_mails_are_said_to_be_none() -> None:
    assert "None so far" in Mailbox(lambda: ()).page()
