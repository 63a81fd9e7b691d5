"""Log lines, as JSON through Powertools. Callers name what happened; values that grant something
(tokens, codes, secrets, links, cookies, states) are never passed in (S20)."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_lambda_powertools.logging import Logger


SERVICE = "goto-connection"
"""Not the name of the Chalice app: its own logger, of that name, would write each line again."""


@cache
def logger() -> "Logger":
    """The function's logger; made at first use, for its import is not free."""
    from aws_lambda_powertools.logging import Logger

    return Logger(service=SERVICE)
