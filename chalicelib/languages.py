"""Which language a visitor reads. A catalogue is a module like `texts`, one for each language."""

from datetime import datetime
from typing import Protocol

from chalicelib import texts
from chalicelib.errors import VisitorError
from chalicelib.model import IntakeProblem, Reason, Status

Message = tuple[str, str]
"""A headline, and what to do next."""


class Catalogue(Protocol):
    """What a language must say."""

    LANGUAGE: str
    PROCESSING: str
    STATUSES: dict[Status, Message]
    NOTICES: dict[Reason, Message]
    ERRORS: dict[type[VisitorError], Message]
    WORDS: dict[str, str]
    RECONNECT_SOON: Message
    NO_LINK: Message
    UNAVAILABLE: Message
    NOT_FOUND: Message
    LINK_MAILED: Message
    INTAKE_DONE: Message
    INTAKE_PROBLEMS: dict[IntakeProblem, str]
    INTAKE_STEPS: tuple[str, ...]
    INTAKE_WORDS: dict[str, str]

    def moment(self, at: datetime) -> str: ...


ENGLISH: Catalogue = texts

CATALOGUES: dict[str, Catalogue] = {texts.LANGUAGE: texts}


def preferred(accepted: str | None) -> Catalogue:
    """The catalogue for an Accept-Language (RFC 9110 12.5.4); English for whatever is not there.

    Any text may be given. ``de-AT`` is served by ``de``.
    """
    ranked = sorted(map(_weighed, (accepted or "").split(",")), key=lambda pair: -pair[0])
    for weight, tag in ranked:
        catalogue = CATALOGUES.get(tag) or CATALOGUES.get(tag.split("-")[0])
        if weight > 0 and catalogue:
            return catalogue
    return ENGLISH


def _weighed(part: str) -> tuple[float, str]:
    tag, _, given = part.partition(";")
    name, _, weight = given.strip().partition("=")
    try:
        quality = float(weight) if name.strip().lower() == "q" else 1.0
    except ValueError:
        quality = 0.0
    return (quality if 0 <= quality <= 1 else 0.0), tag.strip().lower()
