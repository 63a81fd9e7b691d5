"""A stack's versions: digests of the package that it runs, and of the previous one.

Two outputs of the stack hold them. CloudFormation changes them and rolls them back with everything
else, so they always match what runs.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra import cloudformation

LIVE, BEFORE = "Package", "PackageBefore"
"""Outputs of the stack."""

TAGS = {LIVE: "package", BEFORE: "package-before"}
"""The stack's tags that once held the same; CloudFormation put them on every table and key, too."""


@dataclass(frozen=True)
class Versions:
    """The current and the previous package; None if there is none."""

    live: str | None = None
    before: str | None = None

    def after(self, digest: str) -> "Versions":
        """The versions after deploying a package; the current one again changes nothing."""
        return self if digest == self.live else Versions(digest, self.live)


def of(stack: Mapping[str, Any] | None) -> Versions:
    """The versions of a stack as CloudFormation describes it."""
    outputs = {each["OutputKey"]: each["OutputValue"] for each in (stack or {}).get("Outputs", ())}
    if LIVE not in outputs:
        tags = {each["Key"]: each["Value"] for each in (stack or {}).get("Tags", ())}
        outputs = {name: tags[tag] for name, tag in TAGS.items() if tag in tags}
    return Versions(outputs.get(LIVE), outputs.get(BEFORE))


def telling(template: str, versions: Versions) -> str:
    """A package's template with these outputs, even if it is older than they are."""
    made = cloudformation.load(template)
    digests = {LIVE: versions.live, BEFORE: versions.before}
    outputs = {name: {"Value": digest} for name, digest in digests.items() if digest}
    return json.dumps({**made, "Outputs": {**made.get("Outputs", {}), **outputs}})


def kept_tags(stack: Mapping[str, Any] | None) -> list[dict[str, str]] | None:
    """The stack's tags without `TAGS`; None if it has none of those, so none need change."""
    tags = (stack or {}).get("Tags", ())
    others = [tag for tag in tags if tag["Key"] not in TAGS.values()]
    return None if len(others) == len(tags) else others
