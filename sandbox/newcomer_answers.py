"""What people do between the pages' commands: open the link, answer, fill in a file, wait."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, Queue

from playwright.sync_api import expect, sync_playwright

from sandbox.environment import chromium
from sandbox.ministack import UNKNOWN_HERE
from sandbox.shell import Answer, Answers, Shell, Stuck

_READY_SECONDS = 420
"""Time to install packages, and to package and deploy the product."""
_STOP_SECONDS = 60
_TICK_SECONDS = 150
"""Two and a half ticks."""


class Newcomer:
    """The person who types: has a checkout, and the product that runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._product: subprocess.Popen[str] | None = None
        self._lines: Queue[str] = Queue()

    def run(self, command: str, environment: Mapping[str, str]) -> tuple[int, str]:
        """Run `make run` until the admin is connected, and leave it running."""
        # Without AWS's variables: `make run` is the account.
        bare = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
        self._product = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.folder,
            env=bare,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(self._product,), daemon=True).start()
        output: list[str] = []
        link = self._link(output)
        if link is None:
            return 1, "".join(output)
        connect(link)
        return 0, "".join(output)

    def _listen(self, product: subprocess.Popen[str]) -> None:
        assert product.stdout is not None
        for line in product.stdout:
            self._lines.put(line)

    def _link(self, said: list[str]) -> str | None:
        until = time.monotonic() + _READY_SECONDS
        while time.monotonic() < until:
            try:
                said.append(self._lines.get(timeout=1))
            except Empty:
                assert self._product is not None
                if self._product.poll() is not None:
                    return None
                continue
            found = re.match(r"Connect link: (http\S+)", said[-1])
            if found:
                return found[1]
        return None

    def stop(self) -> None:
        """Press Ctrl-C."""
        if self._product is None or self._product.poll() is not None:
            return
        os.killpg(self._product.pid, signal.SIGINT)
        try:
            self._product.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._product.pid, signal.SIGKILL)


def connect(link: str) -> None:
    """Do the README's four steps in Chromium; fails if the page does not show the result."""
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = chrome.new_page()
        page.set_default_timeout(30_000)
        page.goto(link)
        page.get_by_role("button", name="Get Access Token").click()
        page.get_by_label("Email").fill("admin@acme.example")
        page.get_by_label("Password").fill("practice")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("button", name="Allow").click()
        field = page.get_by_label("GoTo Access Token")
        expect(page.get_by_text("Connected", exact=True)).to_be_visible(timeout=30_000)
        expect(field).not_to_have_value("")
        chrome.close()


def wait_for_a_tick(_newcomer: Newcomer, shell: Shell) -> None:
    """Wait for the schedule's first tick; the next command says whether it has run."""
    until = time.monotonic() + _TICK_SECONDS
    while shell.type("ha-goto doctor")[0] and time.monotonic() < until:
        time.sleep(5)


def fill_in(newcomer: Newcomer, _shell: Shell) -> None:
    """Copy example.json and fill it in, as the operator does."""
    stages = newcomer.folder / "infra" / "stages"
    parameters = json.loads((stages / "example.json").read_text()) | UNKNOWN_HERE
    (stages / "production.json").write_text(json.dumps(parameters))


def change(newcomer: Newcomer, shell: Shell) -> None:
    """Deploy another version, so that there is one to roll back."""
    app = newcomer.folder / "app.py"
    app.write_text(app.read_text() + "\n# The next version.\n")
    code, output = shell.type("make deploy STAGE=production ARGUMENTS=--yes", seconds=300)
    if code:
        raise Stuck(output)


def delete_key(_newcomer: Newcomer, shell: Shell) -> None:
    """Schedule the key's deletion."""
    shell.type("aws kms schedule-key-deletion --key-id $(id GrantsKey) --pending-window-in-days 7")


def be_restored(_newcomer: Newcomer, shell: Shell) -> None:
    """Create the table that AWS would make from a backup, without rows."""
    shell.type(
        "aws dynamodb create-table --table-name ha-goto-grants-restored"
        " --attribute-definitions AttributeName=tenant,AttributeType=S"
        " --key-schema AttributeName=tenant,KeyType=HASH --billing-mode PAY_PER_REQUEST"
    )


MEANWHILE: dict[str, Callable[[Newcomer, Shell], None]] = {
    "ha-goto doctor": wait_for_a_tick,
    "make diff STAGE=production": fill_in,
    "make restore STAGE=production": be_restored,
    "make rollback STAGE=production": change,
    "aws kms cancel-key-deletion": delete_key,
}
"""What a person does before a command, by its beginning."""

_SURE = "to go on"

ANSWERS: dict[str, Answers] = {
    "ha-goto credentials set beta": (
        Answer("Client ID", "beta-client"),
        Answer("Client secret", "beta-secret", hidden=True),
    ),
    "ha-goto import": (Answer(_SURE, "import"),),
    "ha-goto link revoke beta": (Answer(_SURE, "beta"),),
    "ha-goto pin set acme": (Answer(_SURE, "acme"),),
    "ha-goto pin lift acme": (Answer(_SURE, "acme"),),
    "ha-goto disconnect acme": (Answer(_SURE, "acme"),),
    "ha-goto disconnect --all": (Answer(_SURE, "disconnect all of main"),),
    "ha-goto tenant remove beta": (Answer(_SURE, "beta"),),
    "make deploy STAGE=production": (Answer("[y/N]", "y"),),
    "make rollback STAGE=production": (Answer("[y/N]", "y"),),
    "make destroy STAGE=production": (Answer("to destroy it", "production"),),
}
"""Questions and answers of commands, by their beginning."""
