"""Reads CloudFormation templates, with intrinsic functions in their long form, and merges them.

`chalice package` merges `infra/template/` over its own template: it merges dictionaries and
replaces lists. It would package a wrong logical id silently, so a test checks that every resource
has a type and every function its own role.
"""

from pathlib import Path
from typing import Any

import yaml

from infra import alarms

FRAGMENTS = Path(__file__).resolve().parent / "template"


class _Loader(yaml.CSafeLoader):
    """Reads short forms as long ones, and refuses a repeated key: the last one would win silently.

    Uses libyaml, which takes a tenth of the time."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := [key for number, key in enumerate(keys) if key in keys[:number]]:
            raise ValueError(
                f"`{twice[0]}` appears twice, starting at line {node.start_mark.line + 1}."
            )
        return super().construct_mapping(node, deep)


def _long_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.SequenceNode):
        value: Any = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        value = loader.construct_scalar(node)  # type: ignore[arg-type]  # all kinds are named
        if suffix == "GetAtt":
            value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _long_form)


def load(text: str) -> dict[str, Any]:
    """Parse a template."""
    loaded: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506 # nosec B506 - a SafeLoader, with tags
    return loaded


def merged(folder: Path = FRAGMENTS) -> dict[str, Any]:
    """The fragments as one template. Raises `ValueError` if two of them define the same entry."""
    whole: dict[str, Any] = {}
    for file in sorted(folder.glob("*.yaml")):
        for section, content in load(file.read_text()).items():
            entries = whole.setdefault(section, {})
            twice = sorted(entries.keys() & content.keys())
            if twice:
                raise ValueError(f"{section}.{twice[0]} of {file.name} is in another file too.")
            entries.update(content)
    alarms.complete(whole.get("Resources", {}))
    return whole
