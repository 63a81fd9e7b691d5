"""docs/rep-command.schema.json, held against whatever a test asks of the rep's commands.

The published schema lets members be added. Here it is closed: the service of this checkout answers
what is described, and nothing besides.
"""

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from sandbox.environment import ROOT

FILE = ROOT / "docs" / "rep-command.schema.json"
SCHEMA: dict[str, Any] = json.loads(FILE.read_text())
PARTS: dict[str, Any] = SCHEMA["$defs"]
COMMANDS = tuple(one["$ref"].rpartition("/")[2] for one in SCHEMA["oneOf"])


def check_answer(command: object, answer: Any) -> None:
    """Raises `ValidationError` for an answer that the schema does not describe, whole."""
    described = f"{command}.answer" if answer.get("ok") is True else "refusal"
    validator(described).validate(answer)


@cache
def validator(part: str, *, closed: bool = True) -> Draft202012Validator:
    """Of one part of the schema; ``closed``: no member but those named."""
    parts = _closed(PARTS) if closed else PARTS
    return Draft202012Validator({"$ref": f"#/$defs/{part}", "$defs": parts})


def _closed(value: Any) -> Any:
    if isinstance(value, list):
        return [_closed(each) for each in value]
    if not isinstance(value, dict):
        return value
    inner = {name: _closed(each) for name, each in value.items()}
    return {"additionalProperties": False, **inner} if "properties" in value else inner
