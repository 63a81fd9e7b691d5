"""DynamoDB's expressions, compiled: conditions, updates and keys, as far as the store uses them."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

Value = Mapping[str, Any]


Item = dict[str, Any]


Names = Mapping[str, str]


Values = Mapping[str, Any]


Test = Callable[[Item, Names, Values], bool]


Operand = Callable[[Item, Names, Values], Any]


_TOKEN = re.compile(r"\s*([#:]?[A-Za-z_][\w]*|<>|<=|>=|[=<>(),])")


_PLACEHOLDER = re.compile(r"[#:]\w+")


_CLAUSE = re.compile(r"\b(SET|REMOVE|ADD)\b")


class Condition(NamedTuple):
    """A compiled condition, with the placeholders it uses."""

    test: Test
    used: frozenset[str]


class Change(NamedTuple):
    """A compiled update expression."""

    setting: tuple[tuple[str, str], ...]
    removing: tuple[str, ...]
    adding: tuple[tuple[str, str], ...]
    used: frozenset[str]


@cache
def key_condition(text: str) -> tuple[str, str | None, str | None]:
    """The placeholders of the hash value, and of the highest or the least range value."""
    within = re.search(r"\s+AND\s+\S+\s+BETWEEN\s+(\S+)\s+AND\s+(\S+)$", text)
    if within:
        return key_condition(text[: within.start()])[0], within[2], within[1]
    first, *more = (re.split(r"\s*(<=|>=|=)\s*", part) for part in re.split(r"\s+AND\s+", text))
    bounds = {operator: value for _, operator, value in more}
    return first[2], bounds.get("<="), bounds.get(">=")


@cache
def key_names(text: str) -> tuple[str, ...]:
    """Names or placeholders of the keys of which the condition is."""
    return tuple(re.findall(r"(\S+)\s*(?:<=|>=|=|\sBETWEEN\s)", text))


@cache
def change_of(text: str) -> Change:
    """Compile an update expression."""
    parts = _CLAUSE.split(text)[1:]
    clauses = {kind: body.strip() for kind, body in zip(parts[::2], parts[1::2], strict=True)}
    setting = tuple(
        (name.strip(), value.strip())
        for name, value in (part.split("=") for part in listed(clauses.get("SET")))
    )
    adding = tuple(
        (name, value) for name, value in (part.split() for part in listed(clauses.get("ADD")))
    )
    removing = tuple(listed(clauses.get("REMOVE")))
    parts_used = {part for pair in setting + adding for part in pair} | set(removing)
    used = frozenset(part for text in parts_used for part in _PLACEHOLDER.findall(text))
    return Change(setting, removing, adding, used)


@cache
def compiled(text: str) -> Condition:
    """Compile a condition expression."""
    tokens = _TOKEN.findall(text)
    parser = _Parser(tokens)
    test = parser.either()
    if parser.position != len(tokens):
        raise ValueError(f"not understood: {text}")
    return Condition(test, frozenset(token for token in tokens if token[0] in "#:"))


class _Parser:
    """Recursive descent over: OR, AND, NOT, parentheses, functions, comparisons."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self.position = 0

    def either(self) -> Test:
        test = self.both()
        while self._taken("OR"):
            left, right = test, self.both()
            test = _either(left, right)
        return test

    def both(self) -> Test:
        test = self.one()
        while self._taken("AND"):
            left, right = test, self.one()
            test = _both(left, right)
        return test

    def one(self) -> Test:
        if self._taken("NOT"):
            return _negated(self.one())
        if self._taken("("):
            test = self.either()
            self._need(")")
            return test
        for function, wanted in (("attribute_exists", True), ("attribute_not_exists", False)):
            if self._taken(function):
                self._need("(")
                name = self._next()
                self._need(")")
                return _presence(name, wanted)
        left, operator = self._next(), self._next()
        if operator == "IN":
            return self._among(_operand(left))
        right = self._next()
        return _comparison(_operand(left), _COMPARISONS[operator], _operand(right))

    def _among(self, left: Operand) -> Test:
        self._need("(")
        choices = [_operand(self._next())]
        while self._taken(","):
            choices.append(_operand(self._next()))
        self._need(")")
        return lambda item, names, values: (
            left(item, names, values) in [choice(item, names, values) for choice in choices]
        )

    def _taken(self, token: str) -> bool:
        if self.position < len(self._tokens) and self._tokens[self.position] == token:
            self.position += 1
            return True
        return False

    def _need(self, token: str) -> None:
        if not self._taken(token):
            raise ValueError(f"{token} expected")

    def _next(self) -> str:
        self.position += 1
        return self._tokens[self.position - 1]


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: bool(left == right),
    "<>": lambda left, right: bool(left != right),
    "<": lambda left, right: type(left) is type(right) and bool(left < right),
    "<=": lambda left, right: type(left) is type(right) and bool(left <= right),
    ">": lambda left, right: type(left) is type(right) and bool(left > right),
    ">=": lambda left, right: type(left) is type(right) and bool(left >= right),
}


def _either(left: Test, right: Test) -> Test:
    return lambda item, names, values: left(item, names, values) or right(item, names, values)


def _both(left: Test, right: Test) -> Test:
    return lambda item, names, values: left(item, names, values) and right(item, names, values)


def _negated(test: Test) -> Test:
    return lambda item, names, values: not test(item, names, values)


def _presence(name: str, wanted: bool) -> Test:
    return lambda item, names, values: (names.get(name, name) in item) is wanted


def _operand(token: str) -> Operand:
    if token[0] == ":":
        return lambda item, names, values: plain(values[token])
    return lambda item, names, values: plain(item.get(names.get(token, token)))


def _comparison(left: Operand, compare: Callable[[Any, Any], bool], right: Operand) -> Test:
    def test(item: Item, names: Names, values: Values) -> bool:
        one, other = left(item, names, values), right(item, names, values)
        # An attribute that is not there satisfies no comparison but "is another than".
        if one is None or other is None:
            return compare is _COMPARISONS["<>"]
        return compare(one, other)

    return test


def plain(value: Value | None) -> Any:
    if value is None:
        return None
    if "N" in value:
        return int(value["N"])
    return next(iter(value.values()))


def listed(clause: str | None) -> list[str]:
    return [part.strip() for part in re.split(r",(?![^(]*\))", clause)] if clause else []
