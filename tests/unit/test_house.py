"""The house stays as it is drawn: imports go one way, rooms stay small."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "chalicelib"

PURE = {"config", "errors", "model", "oauth", "links", "texts", "endings", "tokens"}
PURE |= {"languages", "times"}
PURE |= {"verdicts", "circuit", "pace", "pool", "advice", "letters"}
ADAPTERS = {"goto", "deadline", "vault", "mail", "bus", "invoke", "telemetry", "store"}
ADAPTERS |= {"rescue_queue", "caller", "checkup"}
USE_CASES = {"authorize", "complete", "refresh", "onboard", "announce", "commands"}
USE_CASES |= {"intake", "credentials", "invitations", "imports", "fleet", "overview"}
USE_CASES |= {"measures", "disconnect", "by_hand", "mail_feedback", "doctor"}
USE_CASES |= {"commits", "rescue", "schedule", "on_demand", "restore"}
EDGE = {"pages", "web", "services", "adapters"}
MAY_IMPORT = {
    **dict.fromkeys(PURE, PURE),
    **dict.fromkeys(ADAPTERS, PURE),
    "goto": PURE | {"deadline"},
    **dict.fromkeys(USE_CASES, PURE | USE_CASES),
    **dict.fromkeys(EDGE, PURE | ADAPTERS | USE_CASES | EDGE),
}


def imported(path: Path) -> set[str]:
    """Rooms of chalicelib that a file imports when it runs; annotations do not count."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chalicelib"):
            rooms = (node.module or "").split(".")[1:2]
            found |= set(rooms) or {alias.name for alias in node.names}
    return found


def room(path: Path) -> str:
    return path.relative_to(LIBRARY).with_suffix("").parts[0]


def test_imports_go_one_way() -> None:
    wrong = {
        f"{path.relative_to(ROOT)} imports {other}"
        for path in LIBRARY.rglob("*.py")
        if room(path) != "__init__"
        for other in imported(path) - MAY_IMPORT[room(path)] - {room(path)}
    }
    assert wrong == set()


def test_only_config_reads_the_environment() -> None:
    readers = {path.name for path in LIBRARY.rglob("*.py") if "environ" in path.read_text()} | {
        path.name for path in LIBRARY.rglob("*.py") if "getenv" in path.read_text()
    }
    assert readers <= {"config.py", "pages.py"}
    assert "os.environ" not in (LIBRARY / "pages.py").read_text()


def test_no_room_is_larger_than_400_lines() -> None:
    large = {
        path.name: lines
        for path in [ROOT / "app.py", *LIBRARY.rglob("*.py")]
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert large == {}
