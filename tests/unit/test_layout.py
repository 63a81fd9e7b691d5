"""The layout stays as it is drawn: imports go one way, packages stay small, nothing is repeated."""

import ast
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from chalicelib import errors

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "chalicelib"
SHIPPED = (ROOT / "app.py", LIBRARY, ROOT / "cli", ROOT / "reader" / "src", ROOT / "infra")
"""Where nothing may stand twice: what is deployed or installed, and what deploys it."""

BLOCK = 10
"""Significant lines from which on a repetition is a duplicate."""

FLOORS: dict[str, int] = {
    **dict.fromkeys(("dynamodb", "aws", "goto"), 1),
    "tokens": 2,
    **dict.fromkeys(("connect", "refresh"), 3),
    **dict.fromkeys(("web", "rep", "notify"), 4),
    "bootstrap": 5,
}
"""The packages by floor. Files of `chalicelib` itself are the ground floor, 0."""


def package(parts: tuple[str, ...]) -> str:
    """The package of a module, by its name below `chalicelib`; empty on the ground floor."""
    return parts[0] if parts and parts[0] in FLOORS else ""


def imported(path: Path) -> set[tuple[str, ...]]:
    """Modules of `chalicelib` that a file imports, annotations' as well."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chalicelib"):
            parts = tuple((node.module or "").split(".")[1:])
            found |= {(*parts, alias.name) for alias in node.names}
    return found


def allowed(importer: str, other: tuple[str, ...]) -> bool:
    """Whether a package may import a module: its own, or one of a lower floor. Adapters know one
    another only by the errors of AWS and the types of its clients."""
    theirs = package(other)
    if theirs == importer or other[:2] in (("aws", "errors"), ("aws", "clients")):
        return True
    return FLOORS.get(theirs, 0) < FLOORS.get(importer, 0) or not theirs


def test_no_import_goes_upward() -> None:
    wrong = {
        f"{path.relative_to(ROOT)} imports {'.'.join(other)}"
        for path in LIBRARY.rglob("*.py")
        for other in imported(path)
        if not allowed(package(path.relative_to(LIBRARY).parts), other)
    }
    assert wrong == set()


def test_no_module_imports_itself_round_a_circle() -> None:
    """At module level as well: within a package, too, imports go one way."""
    names = {path.relative_to(LIBRARY).with_suffix("").parts for path in LIBRARY.rglob("*.py")}
    graph = {
        name: {
            other[:n]
            for other in imported(LIBRARY.joinpath(*name).with_suffix(".py"))
            for n in (1, 2)
            if other[:n] in names
        }
        for name in names
    }
    TopologicalSorter(graph).prepare()


def test_packages_stay_small() -> None:
    """Twelve modules at most in a package, nine beside the packages."""
    sizes = {name: len(list((LIBRARY / name).glob("[!_]*.py"))) for name in FLOORS}
    assert max(sizes.values()) <= 12, sizes
    assert len(list(LIBRARY.glob("[!_]*.py"))) <= 9


def test_only_config_reads_the_environment() -> None:
    readers = {path.name for path in LIBRARY.rglob("*.py") if "os.environ" in path.read_text()} | {
        path.name for path in LIBRARY.rglob("*.py") if "getenv" in path.read_text()
    }
    assert readers == {"config.py"}


def test_no_room_is_larger_than_400_lines() -> None:
    large = {
        path.name: lines
        for path in [ROOT / "app.py", *LIBRARY.rglob("*.py")]
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert large == {}


def test_half_of_all_functions_have_8_lines_or_fewer() -> None:
    """Counted from ``def`` to the last line, docstring included."""
    lengths = [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in [ROOT / "app.py", *LIBRARY.rglob("*.py")]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(lengths) > 400
    assert statistics.median(lengths) <= 8


def significant(path: Path) -> list[tuple[int, str]]:
    """The lines of a file that count for `repeated`, with their numbers, without indentation.

    Blank lines, lines that are only a comment, and import statements are left out.
    """
    text = path.read_text()
    imports = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate((line.strip() for line in text.splitlines()), 1)
    return [(n, line) for n, line in lines if line and line[0] != "#" and n not in imports]


def repeated(paths: list[Path]) -> Iterator[str]:
    """Places at which `BLOCK` significant lines in a row are the same as at an earlier place.

    The same to the letter but for indentation, in one file or two; two places in one file do not
    overlap. Blocks that are alike only in shape are for a reader to judge.
    """
    seen: dict[tuple[str, ...], list[tuple[Path, int]]] = defaultdict(list)
    for path in paths:
        lines = significant(path)
        for start in range(len(lines) - BLOCK + 1):
            block = tuple(line for _, line in lines[start : start + BLOCK])
            for other, earlier in seen[block]:
                if other != path or earlier + BLOCK <= start:
                    yield f"{path.name}:{lines[start][0]} as in {other.name}"
            seen[block].append((path, start))


def test_no_block_of_ten_lines_stands_twice() -> None:
    paths = [path for room in SHIPPED for path in [room, *sorted(room.rglob("*.py"))]]
    assert list(repeated([path for path in paths if path.suffix == ".py"])) == []


def test_a_repeated_block_is_found_whatever_its_indentation(tmp_path: Path) -> None:
    """The guard itself: ten lines are found, nine are not, nor are imports and comments."""
    lines = [f"value_{number} = {number}" for number in range(BLOCK)]
    (tmp_path / "a.py").write_text("import os\n\n" + "\n".join(lines))
    (tmp_path / "b.py").write_text("if True:\n" + "\n    # why\n".join(f"    {n}" for n in lines))
    (tmp_path / "c.py").write_text("import os\n" + "\n".join(lines[1:]))
    assert list(repeated(sorted(tmp_path.glob("*.py")))) == ["b.py:2 as in a.py"]


def drawn(docstring: str) -> dict[str, str]:
    """Each error of a drawing with the one above it."""
    above: list[str] = []
    found = {}
    for line in docstring.splitlines():
        branch = re.match(r"((?:\|   )*\+-- |)([A-Z]\w+)(?= |$)", line)
        if branch and (branch[1] or not above):
            depth = len(branch[1]) // 4
            above[depth:] = [branch[2]]
            found[branch[2]] = above[depth - 1] if depth else "Exception"
    return found


def test_the_exception_tree_is_as_it_is_drawn() -> None:
    tree = drawn((errors.__doc__ or "").partition("\n\n")[2])
    classes = {
        name: found.__bases__[0].__name__
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, Exception)
    }
    assert tree == classes


def test_no_other_room_makes_an_error_of_its_own() -> None:
    strays = {
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in LIBRARY.rglob("*.py")
        if path.name != "errors.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any(re.search(r"(Error|Exception)$", ast.unparse(base)) for base in node.bases)
    }
    assert strays == set()
