"""A stand-in for DynamoDB, Secrets Manager and a token endpoint, which remembers nothing.

    python -m bench.stub_server ROWS DELAY

``ROWS``: a JSON file with a grant's row, a tenant's row and a secret, the same for every tenant;
``DELAY``: seconds before it answers with a token. It runs in its own process, so as not to share
the interpreter's lock with what is measured. Prints its port.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, rows: dict[str, Any], delay: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.rows, self.delay = rows, delay


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        target = self.headers.get("X-Amz-Target", "")
        if not target:
            time.sleep(self.server.delay)
            answer: Any = self.server.rows["answer"]
        else:
            answer = self._answer(target.rpartition(".")[2], json.loads(body))
        sent = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def _answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        rows = self.server.rows
        if operation == "GetSecretValue":
            return {**rows["secret"], "Name": asked["SecretId"]}
        if operation not in ("GetItem", "UpdateItem"):
            return {}
        row = rows["tables"].get(asked["TableName"], {})
        found = {**row, **asked["Key"]}
        return {"Item": found} if operation == "GetItem" else {"Attributes": found}

    def log_message(self, *arguments: object) -> None:
        pass


def main() -> None:
    rows = json.loads(Path(sys.argv[1]).read_text())
    server = Server(rows, float(sys.argv[2]))
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
