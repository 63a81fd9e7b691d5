"""Forked workers, as gunicorn's preload and Celery make them, of a process that goes on reading.

    python -m tests.reader.forks ROUNDS

Each round forks four workers, each of which reads a tenant of its own, while a thread of the parent
makes connection after connection. Prints what they got. The DynamoDB is a stand-in of another
process (`dynamodb`), for no TLS but the reader's may be under way in the one that forks.
"""

import json
import multiprocessing
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ha_goto_tokens import TokenReader
from ha_goto_tokens.errors import TokenError

WORKERS = 4
NO_TIME = 60
"""Seconds after which a worker counts as hanging."""


class Handler(BaseHTTPRequestHandler):
    """Answers `GetItem` and `BatchGetItem`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(0.005)
        body = json.dumps({"Item": item(asked["Key"]["tenant"]["S"])}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("x-amzn-RequestId", "R1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A worker that ends closes its connections."""


def item(tenant: str) -> dict[str, dict[str, str]]:
    """A connected tenant's item."""
    text = {"tenant": tenant, "status": "connected", "access_token": f"token-of-{tenant}"}
    numbers = {"schema": 1, "version": 1, "expires_at": int(time.time()) + 3_600}
    return {name: {"S": value} for name, value in text.items()} | {
        name: {"N": str(value)} for name, value in numbers.items()
    }


@contextmanager
def dynamodb(folder: Path, *, tls: bool) -> Iterator[dict[str, str]]:
    """A stand-in that answers with the tenant asked for, after a moment; the environment in which
    boto3's clients find it."""
    server = Server(("127.0.0.1", 0), Handler)
    scheme, trusted = "http", {}
    if tls:
        file = folder / "certificate.pem"
        file.write_bytes(_certificate())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme, trusted = "https", {"AWS_CA_BUNDLE": str(file)}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {
            "AWS_ENDPOINT_URL_DYNAMODB": f"{scheme}://localhost:{server.server_address[1]}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            **trusted,
        }
    finally:
        server.shutdown()
        server.server_close()


def read(reader: TokenReader, tenant: str) -> str:
    """What a worker got: `right`, or what was wrong."""
    try:
        token = reader.get(tenant)
    except TokenError as error:
        return f"{type(error).__name__}: {error.happened}"
    right = (token.tenant, token.value) == (tenant, f"token-of-{tenant}")
    return "right" if right else f"asked for {tenant}, got {token.tenant}"


def met(reader: TokenReader, rounds: int) -> Counter[str]:
    """What the workers of so many rounds got, while a thread of this process reads."""
    fork = multiprocessing.get_context("fork")
    ended = threading.Event()
    counts: Counter[str] = Counter()
    meanwhile: Counter[str] = Counter()

    def work(number: int, answers: Any, gate: Any) -> None:
        gate.wait(NO_TIME)
        answers.put(read(reader, f"tenant-{number}"))

    def go_on() -> None:
        while not ended.is_set():
            anew = TokenReader(table="Tokens", cached_for=0)
            meanwhile[read(anew, "parent")] += 1

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        for _ in range(rounds):
            answers, gate = fork.SimpleQueue(), fork.Barrier(WORKERS)
            workers = [fork.Process(target=work, args=(n, answers, gate)) for n in range(WORKERS)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join(NO_TIME)
                if worker.is_alive():
                    worker.kill()
                    counts["hangs"] += 1
                elif worker.exitcode:
                    counts[f"ends with {worker.exitcode}"] += 1
            while not answers.empty():
                counts[answers.get()] += 1
    finally:
        ended.set()
        thread.join()
    return counts + Counter({f"parent: {what}": times for what, times in meanwhile.items()})


def _certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(1))
        .not_valid_after(now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + made.public_bytes(serialization.Encoding.PEM)


def main(arguments: list[str]) -> int:
    """Fork, and tell; 1 where anything was not right."""
    rounds = int(arguments[0])
    counts = met(TokenReader(table="Tokens", cached_for=0), rounds)
    print(json.dumps(counts))
    wrong = sum(counts.values()) - counts["right"] - counts["parent: right"]
    return 1 if wrong or counts["right"] != rounds * WORKERS else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
