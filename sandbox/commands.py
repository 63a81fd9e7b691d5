"""The commands in a page's `sh` blocks, split as a shell would split them."""

import re
import subprocess
import textwrap
from pathlib import Path

_BLOCK = re.compile(r"^( *)```sh\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def of_page(page: Path) -> list[str]:
    """A page's commands in order, without trailing comments."""
    blocks = (textwrap.dedent(match[2]) for match in _BLOCK.finditer(page.read_text()))
    return [command for block in blocks for command in of_block(block)]


def of_block(block: str) -> list[str]:
    """A block's commands. One command is as many lines as a shell reads before it runs them."""
    commands: list[str] = []
    lines: list[str] = []
    for line in block.splitlines():
        lines.append(line)
        text = "\n".join(lines)
        if line.strip() and not line.endswith("\\") and _is_whole(text):
            commands.append(re.sub(r"(^|\s+)# .*$", "", text))
            lines = []
    if any(line.strip() for line in lines):
        raise ValueError(f"No shell would begin to work after: {lines[0]}")
    return [command for command in commands if command.strip()]


def _is_whole(text: str) -> bool:
    read = subprocess.run(["bash", "-n", "-c", text], capture_output=True, check=False)
    return read.returncode == 0
