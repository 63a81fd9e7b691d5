"""CloudFormation templates as files: read with their intrinsics in the long form, and put together.

`infra/template/` is what `chalice package` merges over its own part: dictionaries merge, lists are
replaced, and a wrong logical id would be packaged silently, so a test holds every resource to a
type and every function to its own role.
"""

from pathlib import Path
from typing import Any

import yaml

from infra import alarms

FRAGMENTS = Path(__file__).resolve().parent / "template"


class _Loader(yaml.CSafeLoader):
    """Reads CloudFormation's short forms as the long ones, and no key twice: the last would win.

    By libyaml, which takes a tenth of the time."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := [key for number, key in enumerate(keys) if key in keys[:number]]:
            raise ValueError(f"`{twice[0]}` stands twice from line {node.start_mark.line + 1} on.")
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
    """A template, from its text."""
    loaded: dict[str, Any] = yaml.load(text, _Loader)  # noqa: S506 # nosec B506 - a SafeLoader, with tags
    return loaded


def merged(folder: Path = FRAGMENTS) -> dict[str, Any]:
    """The fragments as one template. Raises `ValueError` where two of them say the same thing."""
    whole: dict[str, Any] = {}
    for file in sorted(folder.glob("*.yaml")):
        for section, content in load(file.read_text()).items():
            known = whole.setdefault(section, {})
            twice = sorted(known.keys() & content.keys())
            if twice:
                raise ValueError(f"{section}.{twice[0]} of {file.name} is in another file too.")
            known.update(content)
    alarms.complete(whole.get("Resources", {}))
    return whole
