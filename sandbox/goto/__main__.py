"""The command line: `python -m sandbox.goto --port 8001`. Parses, serves, stops cleanly."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.goto.server import PortTakenError, create_app, running
from sandbox.goto.state import Client, State, StateError
from sandbox.goto.switches import SwitchError, Switches
from sandbox.keys import VARIABLE


@dataclass
class _ClientOptions:
    client_id: str
    redirect_uris: list[str] = field(default_factory=list)
    secret_file: Path | None = None


class _StartClient(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        namespace.clients = [*namespace.clients, _ClientOptions(values)]


class _OfClient(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        if not namespace.clients:
            parser.error(f"{option} belongs to a client: name --client first")
        client: _ClientOptions = namespace.clients[-1]
        if self.dest == "redirect_uri":
            client.redirect_uris.append(values)
        else:
            client.secret_file = Path(values)


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    usual = Switches()
    options = argparse.ArgumentParser(
        prog="python -m sandbox.goto",
        description="A GoTo to practise on, not the real one. Listens on 127.0.0.1 only.",
    )
    options.set_defaults(clients=[])
    options.add_argument("--port", type=int, default=8001, help="default: %(default)s")
    options.add_argument("--state", type=Path, help="keep everything in this file across restarts")
    options.add_argument(
        "--access-token-lifetime",
        type=int,
        default=usual.access_token_lifetime,
        metavar="SECONDS",
        help="default: %(default)s",
    )
    options.add_argument(
        "--rotation",
        choices=["late", "always", "never"],
        default=usual.rotation,
        help="when a refresh brings a new refresh token; default: %(default)s",
    )
    options.add_argument(
        "--rotation-grace",
        type=float,
        default=usual.rotation_grace,
        metavar="SECONDS",
        help="how long a replaced refresh token still works; default: %(default)s",
    )
    group = options.add_argument_group("clients", "repeat the three for each client")
    group.add_argument("--client", action=_StartClient, metavar="ID", dest="client")
    group.add_argument("--redirect-uri", action=_OfClient, metavar="URI", help="may be repeated")
    group.add_argument("--client-secret-file", action=_OfClient, metavar="FILE")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        switches = Switches(
            access_token_lifetime=options.access_token_lifetime,
            rotation=options.rotation,
            rotation_grace=options.rotation_grace,
        )
        state = State(options.state, clients=[_client(one) for one in options.clients])
        return _serve(state, switches, options.port)
    except PortTakenError as error:
        print(f"{error} Stop what uses it, or choose another with --port.", file=sys.stderr)
    except (StateError, SwitchError) as error:
        print(f"The sandbox GoTo cannot start: {error}.", file=sys.stderr)
    return 1


def _serve(state: State, switches: Switches, port: int) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    app = create_app(state, switches, key=os.environ.get(VARIABLE, ""))
    with running(app, port, log=True) as url:
        print(f"Sandbox GoTo ready at {url}/ (not the real one)", flush=True)
        stop.wait()
    return 0


def _client(options: _ClientOptions) -> Client:
    if options.secret_file is None:
        raise StateError(f"client {options.client_id} needs --client-secret-file")
    try:
        text = options.secret_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"cannot read the secret file of client {options.client_id}") from error
    return Client.new(options.client_id, text.rstrip("\r\n"), options.redirect_uris)


if __name__ == "__main__":
    sys.exit(main())
