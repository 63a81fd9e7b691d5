"""Runs mutants: the tests are collected once, then a process is forked for each mutant.

mutmut's operators make the mutants, one change each. The forked process gets the changed function
in place of the real one and runs the tests that execute the changed lines, until one fails.
Nothing is written into the tree.

Words that only people read are not mutated: sentences (a text with a space in it that is no
expression of DynamoDB's), and what an exception is made with, for the log has its kind alone.
"""

from __future__ import annotations

import ast
import builtins
import gc
import importlib
import inspect
import json
import math
import os
import re
import resource
import signal
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import libcst as cst
import pytest
from _pytest.runner import runtestprotocol
from hypothesis import Phase, settings
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

from chalicelib import errors

_EXPRESSION = re.compile(r"[#:]\w")
"""Names and values in an expression of DynamoDB's."""

_ENOUGH = 4.0
"""CPU seconds of tests for each mutant: the first of those that reach it, and that fit in."""

_SLOWER, _SECONDS_MORE = 3, 2
"""A mutant is noticed as well where its tests take so many times as much CPU, and some seconds."""

_STUCK = 300
"""Seconds after which one that uses no CPU is noticed."""

CUT_SHORT = "cut short"

_MARK = "_mutants_reached"

_STATEMENTS = cst.BaseSmallStatement | cst.BaseCompoundStatement


@dataclass(frozen=True)
class Mutant:
    """``was`` and ``becomes``: the lines that it changes, without their indentation.

    ``line``: where the statement begins that they are of.
    """

    file: str
    function: str
    line: int
    was: str
    becomes: str
    code: CodeType = field(repr=False)


@dataclass(frozen=True)
class Result:
    """``by``: the test that failed, or `CUT_SHORT`; None where the mutant has survived."""

    mutant: Mutant
    by: str | None


def mutants(root: Path, file: str) -> list[Mutant]:
    """All mutants of a file that Python takes for something else than the file."""
    text = (root / file).read_text("utf-8")
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    visitor = MutationVisitor(mutation_operators, IgnoredCode(set(), set(), set()))
    wrapper.visit(visitor)
    places, parents = wrapper.resolve(PositionProvider), wrapper.resolve(ParentNodeProvider)
    found: dict[tuple[str, str], Mutant] = {}
    for each in visitor.mutations:
        function, node = each.contained_by_top_level_function, each.original_node
        around = list(_around(node, parents))
        if not isinstance(function, cst.FunctionDef) or _for_people(node, around):
            continue
        names = [
            outer.name.value
            for outer in reversed(list(_around(function, parents)))
            if isinstance(outer, cst.FunctionDef | cst.ClassDef)
        ]
        changed = function.deep_replace(node, each.mutated_node)
        assert isinstance(changed, cst.FunctionDef)
        (before, code_before), (after, code) = (
            _alone(which, names) for which in (function, changed)
        )
        if code == code_before:
            continue
        line = next(places[at].start.line for at in around if isinstance(at, _STATEMENTS))
        name = ".".join(names)
        mutant = Mutant(file, name, line, *_difference(before, after), code)
        found.setdefault((name, after), mutant)
    return list(found.values())


def _alone(function: cst.FunctionDef, names: Sequence[str]) -> tuple[str, CodeType]:
    """A function's text without its decorators, and what it is compiled to in its classes."""
    bare = function.with_changes(leading_lines=[], lines_after_decorators=[], decorators=[])
    text = cst.Module([bare]).code
    whole = text
    for outer in reversed(names[:-1]):
        whole = f"class {outer}:\n{textwrap.indent(whole, ' ')}"
    compiled = compile(whole, "mutant", "exec", flags=annotations.compiler_flag)
    return text, dict(_functions(compiled))[".".join(names)]


def _around(node: cst.CSTNode, parents: Any) -> Iterator[cst.CSTNode]:
    """A node and what it stands in, from the inside out."""
    at: cst.CSTNode | None = node
    while at is not None:
        yield at
        at = parents.get(at)


def _for_people(node: cst.CSTNode, around: Sequence[cst.CSTNode]) -> bool:
    """Whether a mutation of the node changes words that only people read."""
    if isinstance(node, cst.SimpleString) and " " in node.value:
        return not _EXPRESSION.search(node.value)
    return any(isinstance(outer, cst.Call) and _makes_exception(outer) for outer in around)


def _makes_exception(call: cst.Call) -> bool:
    name = call.func.value if isinstance(call.func, cst.Name) else ""
    kind = getattr(errors, name, None) or getattr(builtins, name, None)
    return isinstance(kind, type) and issubclass(kind, Exception)


def _functions(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    """What is compiled of each function and class, by its qualified name."""
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield const.co_qualname, const
            yield from _functions(const)


def _difference(text: str, changed: str) -> tuple[str, str]:
    before, after = text.splitlines(), changed.splitlines()
    start = 0
    while before[start : start + 1] == after[start : start + 1]:
        start += 1
    while before and after and before[-1] == after[-1] and min(len(before), len(after)) > start:
        before.pop()
        after.pop()
    was, becomes = (" ".join(map(str.strip, lines[start:])) for lines in (before, after))
    return was, becomes


class Watched(NamedTuple):
    """A run without any mutant: the tests that execute each line, the CPU seconds that each test
    takes, and those that fail."""

    reached: dict[str, dict[str, list[str]]]
    seconds: dict[str, float]
    broken: list[str]


class Forks:
    """Stands in for pytest's loop over the tests that it has collected."""

    def __init__(
        self,
        root: Path,
        tests: Mapping[str, Sequence[str]],
        workers: int,
        told: Callable[[Result], None],
    ) -> None:
        self.root = root
        self.tests = tests
        self.files = list(tests)
        self.workers = workers
        self.told = told
        self.results: list[Result] = []
        self.broken: list[str] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        # What a session begins with is there in every process that is forked from here on.
        runtestprotocol(session.items[0], log=False, nextitem=session.items[-1])
        gc.freeze()
        gc.disable()
        watching = _Child(self._watch, resource.RLIM_INFINITY)
        while not watching.ended():
            time.sleep(0.1)
        watched = Watched(*watching.answer())
        self.broken = watched.broken
        if self.broken:
            return True
        noticed: Counter[str] = Counter()
        waiting = [each for file in self.files for each in mutants(self.root, file)][::-1]
        running: dict[_Child, Mutant] = {}
        while waiting or running:
            while waiting and len(running) < self.workers:
                mutant = waiting.pop()
                tests = _tests_of(mutant, self.tests[mutant.file], watched, noticed)
                taken = sum(watched.seconds[test] for test in tests)
                limit = _SECONDS_MORE + int(_SLOWER * taken)
                running[_Child(partial(self._try, mutant, tests), limit)] = mutant
            for child in [child for child in running if child.ended()]:
                result = Result(running.pop(child), child.answer())
                noticed[result.by or ""] += 1
                self.results.append(result)
                self.told(result)
            time.sleep(0.002)
        return True

    def _watch(self) -> Watched:
        """Run every test as it is, but for marks at each statement of the files."""
        hits: dict[str, dict[int, set[str]]] = {file: {} for file in self.files}
        seconds: dict[str, float] = {}
        broken = []
        now = ""

        def mark(file: str, line: int) -> None:
            hits[file].setdefault(line, set()).add(now)

        setattr(builtins, _MARK, mark)
        for file in self.files:
            for name, code in _functions(_marked((self.root / file).read_text("utf-8"), file)):
                if "<" not in name:  # what stands in a function comes with it
                    _put(file, name, code)
        items = list(self.items.values())
        for item, after in zip(items, [*items[1:], None], strict=True):
            now, begun = item.nodeid, time.process_time()
            reports = runtestprotocol(item, log=False, nextitem=after)
            seconds[now] = time.process_time() - begun
            broken += [now for report in reports if report.failed]
        reached = {
            file: {str(line): sorted(tests) for line, tests in lines.items()}
            for file, lines in hits.items()
        }
        return Watched(reached, seconds, broken)

    def _try(self, mutant: Mutant, tests: Sequence[str]) -> str | None:
        """The first of the tests that fails with a mutant in place."""
        _put(mutant.file, mutant.function, mutant.code)
        # The run does not end with the last test, and what it would look at then is not asked for.
        other = next(item for name, item in self.items.items() if name not in tests[-1:])
        items = [*(self.items[test] for test in tests), other]
        for item, after in pairwise(items):
            reports = runtestprotocol(item, log=False, nextitem=after)
            if any(report.failed for report in reports):
                return item.nodeid
        return None


def _tests_of(
    mutant: Mutant, files: Sequence[str], watched: Watched, noticed: Counter[str]
) -> list[str]:
    """Tests that execute its statement, in the order of their ``files``, as far as there is time.
    Those that have noticed most go first."""
    places = {file: place for place, file in enumerate(files)}
    reached = set(watched.reached[mutant.file].get(str(mutant.line), ()))
    own = [test for test in watched.seconds if test in reached and _file_of(test) in places]
    tests = sorted(own, key=lambda test: places[_file_of(test)])
    found, left = [], _ENOUGH
    for test in tests:
        if watched.seconds[test] <= left:
            found.append(test)
            left -= watched.seconds[test]
    return sorted(found or tests[:1], key=lambda test: -noticed[test])


def _file_of(test: str) -> str:
    return test.partition("::")[0]


def _put(file: str, function: str, code: CodeType) -> None:
    """Give a function in this process another code."""
    found: Any = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    for name in function.split("."):
        found = vars(found)[name]
        found = found.fget if isinstance(found, property) else inspect.unwrap(found)
    found.__code__ = code


def _marked(text: str, file: str) -> CodeType:
    """The file with a call before each statement of its functions, which tells its first line."""
    tree = ast.parse(text)
    for node in list(ast.walk(tree)):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and not isinstance(node, ast.Module | ast.ClassDef):
                marks = [ast.parse(f"{_MARK}({file!r}, {each.lineno})").body[0] for each in block]
                setattr(
                    node, name, [each for pair in zip(marks, block, strict=True) for each in pair]
                )
    return compile(tree, file, "exec")


class _Child:
    """A forked process that computes something, in so many CPU seconds at most."""

    def __init__(self, work: Callable[[], Any], seconds: int) -> None:
        self._until = time.monotonic() + _STUCK if seconds > 0 else math.inf
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115 - closed once it is read
        self._pid = os.fork()
        if not self._pid:
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            nowhere = os.open(os.devnull, os.O_RDWR)
            for standard in range(3):
                os.dup2(nowhere, standard)
            try:
                told = {"answer": work()}
            except BaseException as error:  # noqa: BLE001 - the parent process raises it
                told = {"fault": repr(error)}
            self._answer.write(json.dumps(told).encode())
            self._answer.flush()
            os._exit(0)

    def ended(self) -> bool:
        if time.monotonic() > self._until:
            os.kill(self._pid, signal.SIGKILL)
        return os.waitpid(self._pid, os.WNOHANG) != (0, 0)

    def answer(self) -> Any:
        """What it has computed; `CUT_SHORT` where it took too long or died.

        Raises `RuntimeError` where it could not be computed.
        """
        self._answer.seek(0)
        told = json.loads(self._answer.read() or "{}")
        self._answer.close()
        if "fault" in told:
            raise RuntimeError(told["fault"])
        return told.get("answer", CUT_SHORT)


def run(
    root: Path,
    tests: Mapping[str, Sequence[str]],
    *,
    without: Sequence[str] = ("dynamodb-local",),
    workers: int,
    told: Callable[[Result], None],
) -> list[Result]:
    """Try every mutant of some files, ``workers`` at a time.

    ``tests``: the files of tests for each of them, the most direct first. ``without``: words in
    names of tests that are left out. ``told`` hears of each result at once. Only once in a
    process. Raises `RuntimeError` where tests fail without any mutant.
    """
    settings.register_profile(
        "mutants", derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
    )
    settings.load_profile("mutants")
    named = dict.fromkeys(test for each in tests.values() for test in each)
    forks = Forks(root, tests, workers, told)
    options = [
        "-s",
        "-qq",
        "--no-summary",
        "-p",
        "no:cacheprovider",
        "-k",
        f"not ({' or '.join(without)})",
    ]
    ended = pytest.main([f"--rootdir={root}", *options, *named], plugins=[forks])
    if ended or forks.broken:
        raise RuntimeError(f"these fail without any mutant: {forks.broken or ended}")
    return forks.results
