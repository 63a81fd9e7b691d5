"""Amazon's DynamoDB Local, in memory, on loopback: the authority on conditions."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.environment import dynamodb_local, java
from sandbox.processes import Child, free_port

_LAUNCHER = Path(__file__).with_name("DynamoDBLocalLoopback.java")


@contextmanager
def running() -> Iterator[str]:
    """Run it and yield its endpoint. Raises `Missing` or `Failed`.

    Each access key and region has its own tables.
    """
    home, port = dynamodb_local(), free_port()
    libraries = home / "DynamoDBLocal_lib"
    command = [
        str(java()),
        "-Xmx512m",
        # It lives only seconds or minutes: the better compiler would not pay off.
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        f"-Djava.library.path={libraries}",
        "-cp",
        f"{home / 'DynamoDBLocal.jar'}:{libraries}/*",
        str(_LAUNCHER),
        "-inMemory",
        "-disableTelemetry",
        "-port",
        str(port),
    ]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "dynamodb-local.log"
        child = Child("DynamoDB Local", command, log, {"TMPDIR": folder})
        try:
            endpoint = f"http://127.0.0.1:{port}"
            child.wait_ready(endpoint)
            yield endpoint
        finally:
            child.stop()
