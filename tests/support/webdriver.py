"""Firefox and WebKit, by the few commands of W3C WebDriver that a story takes.

Firefox takes them over Marionette, its own socket, as Debian has no geckodriver. WebKit takes them
over HTTP, from Debian's WebKitWebDriver.
"""

from __future__ import annotations

import http.client
import itertools
import json
import re
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from sandbox import environment
from sandbox.environment import Missing
from sandbox.processes import Child, Failed, free_port

SECONDS = 40.0
"""For what a page is to show: a machine of two cores may be busy, and the cloud is a cold one."""

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The member that holds an element's id, in the W3C's own words."""

_PATHS = {
    "Navigate": "POST url",
    "GetCurrentURL": "GET url",
    "Refresh": "POST refresh",
    "FindElement": "POST element",
    "GetElementText": "GET element/{id}/text",
    "ElementClick": "POST element/{id}/click",
    "ElementClear": "POST element/{id}/clear",
    "ElementSendKeys": "POST element/{id}/value",
    "GetElementProperty": "GET element/{id}/property/{name}",
    "GetElementCSSValue": "GET element/{id}/css/{propertyName}",
    "ExecuteScript": "POST execute/sync",
}
"""WebDriver's commands by Marionette's names for them."""

_START_SECONDS = 60.0

T = TypeVar("T")


class Refused(Exception):
    """The browser did not do what it was asked; the reason is in WebDriver's words."""


class Driven(ABC):
    """A browser without any cookies, and what a person does with it."""

    @abstractmethod
    def send(self, command: str, **parameters: Any) -> Any:
        """One command and its result; raises `Refused`."""

    @abstractmethod
    def close(self) -> None:
        """End it."""

    def open(self, address: str) -> None:
        self.send("Navigate", url=address)

    def reload(self) -> None:
        self.send("Refresh")

    @property
    def address(self) -> str:
        return str(self.send("GetCurrentURL"))

    def see(self, text: str) -> None:
        """Wait until the page shows this text."""

        def look() -> None:
            if text not in self.send("GetElementText", id=self._find("//body")):
                raise Refused(f"the page does not show: {text}")

        self._once(look)

    def press(self, name: str) -> None:
        """The button of this name."""
        path = f"//button[normalize-space()='{name}']"
        self._once(lambda: self.send("ElementClick", id=self._find(path)))

    def fill(self, label: str, text: str) -> None:
        """Type into the field of this label, in place of what it holds."""

        def enter() -> None:
            field = self._find(_field(label))
            self.send("ElementClear", id=field)
            self.send("ElementSendKeys", id=field, text=text)
            if self.send("GetElementProperty", id=field, name="value") != text:
                raise Refused(f"the field {label} lost the focus")

        self._once(enter)

    def value(self, label: str) -> str:
        """What the field of this label holds."""
        return self._once(
            lambda: str(self.send("GetElementProperty", id=self._find(_field(label)), name="value"))
        )

    def style(self, path: str, name: str) -> str:
        """A property of the first element at an XPath, as the browser has computed it."""
        return self._once(
            lambda: str(self.send("GetElementCSSValue", id=self._find(path), propertyName=name))
        )

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a function's body, run in the page."""
        return self.send("ExecuteScript", script=script, args=arguments)

    def _find(self, path: str) -> str:
        """Id of the first element at an XPath; raises `Refused` where there is none."""
        return str(self.send("FindElement", using="xpath", value=path)[_ELEMENT])

    def _once(self, attempt: Callable[[], T]) -> T:
        """Its result, as soon as the page lets it succeed; raises the last `Refused`."""
        until = time.monotonic() + SECONDS
        while True:
            try:
                return attempt()
            except Refused:
                if time.monotonic() > until:
                    raise
            time.sleep(0.1)


def _field(label: str) -> str:
    return f"//*[@id=//label[normalize-space()='{label}']/@for]"


class Firefox(Driven):
    """Its profile and log are in ``folder``; ``dark``: so its pages are to be."""

    def __init__(self, program: Path, folder: Path, *, dark: bool = False) -> None:
        folder.mkdir()
        preferences = {
            "marionette.port": 0,  # any that is free
            "layout.css.prefers-color-scheme.content-override": 0 if dark else 1,
        }
        lines = (f'user_pref("{name}", {value});\n' for name, value in preferences.items())
        (folder / "user.js").write_text("".join(lines))
        command = [str(program), "--headless", "--marionette", "--remote-allow-system-access"]
        words = [*command, "--no-remote", "--profile", str(folder), "about:blank"]
        self._child = Child("Firefox", words, folder / "log", {"HOME": str(folder)})
        self._numbers = itertools.count(1)
        try:
            self._socket = socket.create_connection(("127.0.0.1", self._port(folder)))
            self._receive()  # it says hello
            self.send("NewSession", acceptInsecureCerts=True)
        except BaseException:
            self._child.stop()
            raise

    def _port(self, folder: Path) -> int:
        file = folder / "MarionetteActivePort"
        until = time.monotonic() + _START_SECONDS
        while not (file.exists() and file.read_text()):
            if not self._child.running or time.monotonic() > until:
                raise Failed(f"Firefox did not start: see {self._child.log}")
            time.sleep(0.05)
        return int(file.read_text())

    def send(self, command: str, **parameters: Any) -> Any:
        return self._send(f"WebDriver:{command}", parameters)

    def chrome(self, script: str, *arguments: Any) -> Any:
        """The same with the rights of the browser itself."""
        self._send("Marionette:SetContext", {"value": "chrome"})
        try:
            return self.run(script, *arguments)
        finally:
            self._send("Marionette:SetContext", {"value": "content"})

    def _send(self, name: str, parameters: dict[str, Any]) -> Any:
        sent = json.dumps([0, next(self._numbers), name, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(sent), sent))
        _, _, error, result = self._receive()
        if error:
            raise Refused(f"{name}: {error['error']}: {error['message']}")
        return result["value"] if isinstance(result, dict) and "value" in result else result

    def _receive(self) -> Any:
        """One message: its length in bytes, a colon, JSON."""
        length = b""
        while (byte := self._read(1)) != b":":
            length += byte
        return json.loads(self._read(int(length)))

    def _read(self, length: int) -> bytes:
        read = b""
        while len(read) < length:
            read += (got := self._socket.recv(length - len(read)))
            if not got:
                raise Failed(f"Firefox ended by itself: see {self._child.log}")
        return read

    def close(self) -> None:
        self._socket.close()
        self._child.stop()


class Screen:
    """An X display that nobody looks at: WebKit's window needs one."""

    def __init__(self, program: Path, folder: Path) -> None:
        folder.mkdir()
        words = ["-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
        self._child = Child("Xvfb", [str(program), *words], folder / "log", {})
        until = time.monotonic() + _START_SECONDS
        # Its number is a line of its own, perhaps among warnings.
        while not (found := re.search(r"^(\d+)\n", self._child.log.read_text(), re.MULTILINE)):
            if not self._child.running or time.monotonic() > until:
                self._child.stop()
                raise Failed(f"Xvfb did not start: see {self._child.log}")
            time.sleep(0.05)
        self.name = f":{found[1]}"

    def close(self) -> None:
        self._child.stop()


class WebKit(Driven):
    """WebKitGTK's own small browser; ``folder`` and ``dark`` as of `Firefox`."""

    def __init__(self, program: Path, screen: Screen, folder: Path, *, dark: bool = False) -> None:
        folder.mkdir()
        self._at = ("127.0.0.1", free_port())
        theme = "Adwaita:dark" if dark else "Adwaita"
        environment = {"DISPLAY": screen.name, "HOME": str(folder), "GTK_THEME": theme}
        words = [str(program), f"--port={self._at[1]}"]
        self._child = Child("WebKit", words, folder / "log", environment)
        self._session = ""
        try:
            self._child.wait_ready(f"http://127.0.0.1:{self._at[1]}/status")
            wanted = {"alwaysMatch": {"acceptInsecureCerts": True}}
            made = self._ask("POST", "/session", {"capabilities": wanted})
            self._session = f"/session/{made['sessionId']}"
        except BaseException:
            self._child.stop()
            raise

    def send(self, command: str, **parameters: Any) -> Any:
        method, path = _PATHS[command].split()
        body = {name: value for name, value in parameters.items() if f"{{{name}}}" not in path}
        return self._ask(method, f"{self._session}/{path.format(**parameters)}", body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection(*self._at, timeout=60)
        connection.request(method, path, json.dumps(body) if method == "POST" else None)
        answer = connection.getresponse()
        value = json.load(answer)["value"]
        connection.close()
        if answer.status != 200:
            raise Refused(f"{path}: {value['error']}: {value['message']}")
        return value

    def close(self) -> None:
        try:
            self._ask("DELETE", self._session)
        finally:
            self._child.stop()


@contextmanager
def firefox(folder: Path, *, dark: bool = False) -> Iterator[Firefox]:
    """Firefox until the end of the block; the test is skipped where it is missing."""
    found = program(environment.firefox)
    with closing(Firefox(found, folder / "firefox", dark=dark)) as started:
        yield started


@contextmanager
def webkit(folder: Path, *, dark: bool = False) -> Iterator[WebKit]:
    """WebKit on a screen of its own, likewise."""
    driver, xvfb = program(environment.webkit), program(environment.xvfb)
    with (
        closing(Screen(xvfb, folder / "screen")) as screen,
        closing(WebKit(driver, screen, folder / "webkit", dark=dark)) as started,
    ):
        yield started


def program(look: Callable[[], Path]) -> Path:
    """Path of a program; the test is skipped where it is missing."""
    try:
        return look()
    except Missing as missing:
        pytest.skip(str(missing))
