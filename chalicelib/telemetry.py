"""Log lines, as JSON through Powertools. Callers name what happened; values that grant something
(tokens, codes, secrets, links, cookies, states) are never passed in (S20)."""

import traceback
from functools import cache
from pathlib import PurePath
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


def report(message: str, error: BaseException) -> None:
    """Log an error by its kind and its way here, without its text: that may quote what it was
    given, which may grant something (S20)."""
    way = [
        f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    logger().error(message, cause=type(error).__name__, way=way)
