"""Cold start: a fresh process from the package alone, as on Lambda.

    .venv/bin/python -m bench.cold [--rounds 15]

Floor A imports boto3 and makes one DynamoDB client, from the package that `chalice package` leaves,
without bytecode; floor B does the same with bytecode. The product imports `app` and answers the
settings page, or runs one tick with nothing due, against tables on the loopback interface.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.table import Row, told
from infra import package
from sandbox.environment import VENV

LINK = "L" * 43
BROWSER = "B" * 43

FLOOR = "import boto3; boto3.client('dynamodb')"

PAGE = f"""
import app
event = {{
    "resource": "/admin/settings/activities", "path": "/admin/settings/activities/",
    "httpMethod": "GET", "body": "", "isBase64Encoded": False, "pathParameters": None,
    "headers": {{"cookie": "__Host-ha-link={LINK}; __Host-ha-browser={BROWSER}"}},
    "multiValueHeaders": {{}}, "multiValueQueryStringParameters": None,
    "queryStringParameters": None, "stageVariables": None,
    "requestContext": {{
        "resourcePath": "/admin/settings/activities", "httpMethod": "GET", "requestId": "r",
        "identity": {{"sourceIp": "127.0.0.1"}},
    }},
}}
answer = app.app(event, None)
assert answer["statusCode"] == 200 and "Get Access Token" in answer["body"]
"""

TICK = """
import app
class Context:
    aws_request_id = "r"
    def get_remaining_time_in_millis(self): return 60000
app.refresh_tick({"id": "1", "source": "aws.events", "account": "1", "time": "2026-01-01T00:00:00Z",
    "region": "us-east-1", "resources": [], "detail": {}, "detail-type": "Scheduled Event",
    "version": "0"}, Context())
"""

GOALS = {
    "page / A": 0.6,
    "page / B": 1.2,
    "tick / B": 1.25,
}


def main() -> int:
    """Measure and print; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="runs of each; default: 15")
    return told(rows(parser.parse_args().rounds))


def rows(rounds: int) -> list[Row]:
    """The ratios of medians, and the package's size."""
    with tempfile.TemporaryDirectory() as scratch, _tables() as endpoint:
        folder = Path(scratch)
        bare, compiled, product = _packages(folder)
        environment = _environment(endpoint)
        programs = {
            "A": (bare, FLOOR),
            "page": (product, PAGE),
            "B": (compiled, FLOOR),
            "tick": (product, TICK),
        }
        taken: dict[str, list[float]] = {name: [] for name in programs}
        for number in range(rounds + 1):
            for name, (tree, program) in programs.items():
                seconds = _run(tree, program, environment)
                if number:  # the first run of each fills the disk's cache
                    taken[name].append(seconds)
        sizes = package.build().code.stat().st_size, (folder / "bare.zip").stat().st_size
    ratios = {
        "page / A": (taken["page"], taken["A"]),
        "page / B": (taken["page"], taken["B"]),
        "tick / A": (taken["tick"], taken["A"]),
        "tick / B": (taken["tick"], taken["B"]),
    }
    measured = [
        Row(
            f"cold start: {name}",
            statistics.median(ours) / statistics.median(floor),
            GOALS.get(name),
            f"{statistics.median(ours) * 1e3:.0f} ms, {statistics.median(floor) * 1e3:.0f} ms",
        )
        for name, (ours, floor) in ratios.items()
    ]
    shown = f"{sizes[0] / 1e6:.1f} MB, {sizes[1] / 1e6:.1f} MB"
    return [*measured, Row("package: zip / unslimmed with boto3", sizes[0] / sizes[1], None, shown)]


def _packages(folder: Path) -> tuple[Path, Path, Path]:
    """Folders: the unslimmed package without bytecode, the same with it, and the product."""
    package.build_unslimmed(folder / "unslimmed")
    bare, compiled, product = (folder / name for name in ("bare", "compiled", "product"))
    with zipfile.ZipFile(folder / "unslimmed" / "deployment.zip") as archive:
        archive.extractall(bare)
    for name in ("boto3", "s3transfer"):
        source = next((VENV / "lib").glob("python*/site-packages")) / name
        shutil.copytree(source, bare / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.make_archive(str(folder / "bare"), "zip", bare)
    shutil.copytree(bare, compiled)
    compile_ = [sys.executable, "-m", "compileall", "-q", str(compiled)]
    subprocess.run(compile_, check=True, capture_output=True)
    with zipfile.ZipFile(package.build().code) as archive:
        archive.extractall(product)
    return bare, compiled, product


def _run(tree: Path, program: str, environment: dict[str, str]) -> float:
    """Seconds that a fresh process takes for a program, including its exit."""
    begun = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={**environment, "PYTHONPATH": str(tree)},
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )
    taken = time.perf_counter() - begun
    if ran.returncode:
        raise SystemExit(ran.stderr)
    return taken


def _environment(endpoint: str) -> dict[str, str]:
    tables = ("TOKENS", "TENANTS", "LINKS", "AUTHORIZATION_REQUESTS", "GRANTS", "JOURNAL", "FLEET")
    return {
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_ENDPOINT_URL": endpoint,
        "STAGE": "bench",
        "TENANT_ORIGIN": "https://{tenant}.analytics.example",
        "GOTO_AUTHORIZE_URL": "https://goto.example/authorize",
        "GOTO_TOKEN_URL": "https://goto.example/token",
        "MAIL_FROM": "no-reply@analytics.example",
        "SECRETS_KEY": "key",
        "BUS": "bus",
        "RESCUE_QUEUE": f"{endpoint}/queue",
        **{f"{name}_TABLE": name.lower() for name in tables},
    }


def _answer(target: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Answers of the tables and the queue: one tenant, not connected yet, and nothing due."""
    operation, table = target.rpartition(".")[2], asked.get("TableName")
    if operation == "GetItem" and table == "links":
        life = {"N": str(int(time.time()) + 9_000)}
        link = {"tenant": {"S": "acme"}, "kind": {"S": "connect"}, "expires_at": life}
        return {"Item": {**link, **asked["Key"]}}
    if operation == "GetItem" and table == "tenants":
        uri = "https://acme.analytics.example/admin/settings/activities/"
        row = {"display_name": "Acme", "admin_email": "a@acme.example", "redirect_uri": uri}
        row |= {"client_id": "id", "secret_version": "1"}
        texts = {name: {"S": value} for name, value in row.items()}
        return {"Item": {**texts, **asked["Key"]}}
    nothing: dict[str, Any] = {
        "Query": {"Items": [], "Count": 0},
        "BatchGetItem": {"Responses": {}, "UnprocessedKeys": {}},
        "GetQueueAttributes": {"Attributes": {"ApproximateNumberOfMessages": "0"}},
    }
    return dict(nothing.get(operation, {}))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one packet: a delayed acknowledgement costs 40 ms

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            answer = _answer(self.headers.get("X-Amz-Target", ""), json.loads(body))
        except ValueError:
            answer = {}
        sent = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def _tables() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
