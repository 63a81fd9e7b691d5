"""Values that stand for a person or a browser."""

import re

import pytest

from chalicelib import opaque


def test_s14_values_have_256_bits_and_a_form_of_their_own() -> None:
    values = {opaque.new_value() for _ in range(1_000)}
    assert len(values) == 1_000
    assert all(opaque.well_formed(value) for value in values)


@pytest.mark.parametrize("value", [None, "", "A" * 42, "A" * 44, "A" * 42 + "+", "A" * 43 + "\n"])
def test_other_values_are_not_looked_up(value: str | None) -> None:
    assert not opaque.well_formed(value)


def test_digests_are_what_rows_are_kept_under() -> None:
    """Fixed: rows of a running deployment are found by them."""
    assert opaque.digest("a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    known = opaque.browser_digest("a", "acme")
    assert known == opaque.digest("browser\nacme\na")
    assert known != opaque.browser_digest("a", "beta")


def test_s14_any_text_has_a_digest_of_its_own() -> None:
    """What comes from outside may hold half a character."""
    assert opaque.well_formed(opaque.digest("\ud800")[:43])
    assert len({opaque.digest(each) for each in ("\ud800", "\ud801", "?")}) == 3


VALUE = "A-b_" * 10 + "xyz"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param(VALUE, VALUE, id="as it was sent"),
        pytest.param(f"{VALUE}.", VALUE, id="the end of a sentence"),
        pytest.param(f" {VALUE}>, ", VALUE, id="in brackets, among blanks"),
        pytest.param(f"%0A{VALUE}%29", VALUE, id="percent-encoded"),
        pytest.param(f"{VALUE}x", f"{VALUE}x", id="longer than a value is"),
        pytest.param(f"({VALUE[1:]}%29", f"({VALUE[1:]}%29", id="shorter than a value is"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_s14_a_pasted_value_is_read_without_what_stuck_to_it(text: str, value: str) -> None:
    assert opaque.as_pasted(text) == value


def test_s02_a_browser_that_came_back_goes_by_a_value_of_its_own() -> None:
    value = opaque.next_browser("browser", "state")
    assert opaque.well_formed(value)
    assert value == opaque.next_browser("browser", "state")
    others = {opaque.next_browser("other", "state"), opaque.next_browser("browser", "other")}
    assert len(others - {value}) == 2


def test_s13_what_was_told_is_told_to_one_browser_at_one_link() -> None:
    seal = opaque.told_seal("browser", "link", "text")
    assert re.fullmatch("[0-9a-f]{64}", seal)
    assert opaque.told_sealed(seal, "browser", "link", "text")
    for given in (("other", "link", "text"), ("browser", "other", "text"), ("browser", "link", "")):
        assert not opaque.told_sealed(seal, *given)
    assert not opaque.told_sealed("\u00fc", "browser", "link", "text")


def test_s13_a_form_value_is_of_one_browser_and_one_link() -> None:
    value = opaque.csrf_value("browser", "link")
    assert re.fullmatch("[0-9a-f]{64}", value)
    assert opaque.csrf_matches(value, "browser", "link")
    for given, browser, link in ((value, "other", "link"), (value, "browser", "other")):
        assert not opaque.csrf_matches(given, browser, link)
    assert not opaque.csrf_matches("\u00fc", "browser", "link")


def test_a_reference_can_be_read_out() -> None:
    references = [opaque.new_reference() for _ in range(500)]
    assert all(re.fullmatch("[2-9A-HJ-NP-Z]{5}-[2-9A-HJ-NP-Z]{5}", each) for each in references)
    assert len(set(references)) == 500
