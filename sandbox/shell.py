"""A shell at a terminal: types commands one by one, and answers their questions."""

import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Answer(NamedTuple):
    """The text of a question, and the answer to type. ``hidden``: type it only after the terminal
    has turned off echo, because earlier input is discarded."""

    question: str
    typed: str
    hidden: bool = False


Answers = Sequence[Answer]


class Stuck(Exception):
    """A command did not end in time, or ended the shell."""

    def __init__(self, said: str) -> None:
        super().__init__("The command did not end.")
        self.said = said


class Shell:
    """One bash. The commands' standard input is a terminal, so that they ask questions. Only
    `Answers` are typed there."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self._terminal, terminal = pty.openpty()
        self._name = os.ttyname(terminal)
        self._held = terminal
        self._count = 0
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def type(self, command: str, answers: Answers = (), seconds: float = 60) -> tuple[int, str]:
        """Run a command; returns exit code and output. Raises `Stuck`."""
        assert self._bash.stdin is not None
        self._count += 1
        mark = f"--ended-{os.getpid()}-{self._count}:"
        # Braces, not parentheses: the next command needs this one's variables.
        text = f"{{ {command}\n}} <{self._name}\nprintf '\\n%s%s\\n' '{mark}' $?\n"
        self._bash.stdin.write(text.encode())
        self._bash.stdin.flush()
        return self._read(mark, list(answers), time.monotonic() + seconds)

    def _read(self, mark: str, answers: list[Answer], until: float) -> tuple[int, str]:
        assert self._bash.stdout is not None
        output, read_to = "", 0
        while not (ended := re.search(re.escape(mark) + r"(\d+)\n", output)):
            ready, _, _ = select.select(
                [self._bash.stdout], [], [], max(0, until - time.monotonic())
            )
            piece = os.read(self._bash.stdout.fileno(), 65_536) if ready else b""
            if not piece:
                raise Stuck(output)
            output += piece.decode(errors="replace")
            while answers and (at := output.find(answers[0].question, read_to)) >= 0:
                read_to = at + len(answers[0].question)
                self._answer(answers.pop(0), until)
        return int(ended[1]), output[: ended.start()].strip()

    def _answer(self, answer: Answer, until: float) -> None:
        while answer.hidden and self._echoes() and time.monotonic() < until:
            time.sleep(0.02)
        os.write(self._terminal, f"{answer.typed}\n".encode())

    def _echoes(self) -> bool:
        return bool(termios.tcgetattr(self._held)[3] & termios.ECHO)

    def close(self) -> None:
        """End it, and anything that it left running."""
        with suppress(ProcessLookupError):
            os.killpg(self._bash.pid, 15)
        self._bash.wait(10)
        for descriptor in (self._terminal, self._held):
            os.close(descriptor)
