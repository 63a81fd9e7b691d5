"""`make docs`: builds the site from the repository's pages.

Pages keep their paths, so links work in the repository and in the site. The built site is then
checked: every link, picture and anchor must exist, and no page may load anything from elsewhere.
External links can't be tried without a network, so they are only listed.
"""

import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sandbox.environment import NODE, ROOT, STATE, private_folder, step, virtual_environment

LOCK = ROOT / "sandbox" / "requirements-docs.txt"
PAGES = STATE / "site-pages"
SITE = STATE / "site"
LEADING_OUT = STATE / "site-links.txt"
"""External links, one a line, each with its page."""

SHOWN = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "LICENSE",
    "docs",
    "cli/README.md",
    "cli/CHANGELOG.md",
    "reader/README.md",
    "reader/CHANGELOG.md",
    "bench/README.md",
    "infra/stages/example.json",
)
"""The site's pages, and files that pages link to."""

STYLE = """\
/* A picture of a page is told from the page around it by a line. */
.md-typeset img { border: 1px solid var(--md-default-fg-color--lightest); border-radius: 4px; }
.md-typeset img[src$=".svg"] { border: 0; }
/* Tables are read, not clicked through: they take the width that there is. */
.md-typeset table:not([class]) { font-size: 0.68rem; }
.md-typeset table:not([class]) td code { word-break: normal; overflow-wrap: anywhere; }
.md-typeset table:not([class]) th { min-width: 0; }
"""

SCRIPTS = {
    "mermaid.tiny.js": "@mermaid-js/tiny/dist/mermaid.tiny.js",
    "iframe-worker.js": "iframe-worker/shim/index.js",
}
"""Scripts that pages load besides Material's own, with their paths in node_modules."""

_LOADED = {"script": "src", "img": "src", "link": "href", "source": "src", "iframe": "src"}
"""Attributes whose address a browser loads by itself."""


def main() -> int:
    """Build and check the site; 1 if something is wrong, with a line for each problem."""
    lay_out(PAGES)
    python = virtual_environment(private_folder(STATE) / "docs-venv", LOCK, "The site's builder")
    with step("The site"):
        complaints = _build(python)
    wrong = [*complaints, *check(SITE)]
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    out = leading_out(SITE)
    LEADING_OUT.write_text("".join(f"{link}  {page}\n" for link, page in out))
    print(f"{len(out)} links lead out and were not tried: {LEADING_OUT.relative_to(ROOT)}")
    if not wrong:
        print(f"Open {(SITE / 'index.html').relative_to(ROOT)} in a browser.")
    return 1 if wrong else 0


def lay_out(folder: Path) -> None:
    """Copy the pages, at the same paths as here, and the files that they load."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in SHOWN:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    assets = folder / "assets"
    assets.mkdir()
    (assets / "site.css").write_text(STYLE)
    for script, installed in SCRIPTS.items():
        shutil.copy(NODE / "node_modules" / installed, assets / script)


def _build(python: Path) -> list[str]:
    """MkDocs's complaints; empty if it built."""
    # At every build Material announces its end in May 2027: see docs/decisions.md.
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "SOURCE_DATE_EPOCH": "0"}
    command = [str(python), "-m", "mkdocs", "build", "--strict", "--clean", "--quiet"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines or (["MkDocs failed and said nothing."] if done.returncode else [])


class Page(HTMLParser):
    """The anchors of a built page, and what it loads and links to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect ids, the addresses that a person opens, and those that the browser loads."""
        attributes = dict(attrs)
        self.anchors.update(value for name in ("id", "name") if (value := attributes.get(name)))
        if tag == "a" and attributes.get("href"):
            self.links.append(str(attributes["href"]))
        address = attributes.get(_LOADED.get(tag, ""))
        if address and attributes.get("rel") != "canonical":
            self.loaded.append(address)


def read(site: Path) -> dict[Path, Page]:
    """Every page of a built site."""
    return {file: Page(file.read_text()) for file in sorted(site.rglob("*.html"))}


def check(site: Path) -> list[str]:
    """A line for each link or picture that leads nowhere, and for each external file loaded."""
    pages = read(site)
    wrong: list[str] = []
    for file, page in pages.items():
        name = file.relative_to(site)
        wrong += [f"{name} loads {address}" for address in page.loaded if _is_elsewhere(address)]
        wrong += [
            f"{name}: nothing is at {address}"
            for address in (*page.links, *page.loaded)
            if not _is_elsewhere(address) and not _is_there(address, file, pages, site)
        ]
    return wrong


def leading_out(site: Path) -> list[tuple[str, str]]:
    """Each external link, with its page."""
    return sorted(
        {
            (address, str(file.relative_to(site)))
            for file, page in read(site).items()
            for address in page.links
            if _is_elsewhere(address)
        }
    )


def _is_elsewhere(address: str) -> bool:
    parts = urlsplit(address)
    return bool(parts.scheme or parts.netloc)


def _is_there(address: str, file: Path, pages: dict[Path, Page], site: Path) -> bool:
    parts = urlsplit(address)
    # The page for missing addresses (404) has links from the root.
    base = site if parts.path.startswith("/") else file.parent
    target = (base / unquote(parts.path).lstrip("/")).resolve() if parts.path else file
    if target.is_dir():
        target /= "index.html"
    if not target.is_file() or not target.is_relative_to(site.resolve()):
        return False
    page = pages.get(target)
    return not parts.fragment or page is None or unquote(parts.fragment) in page.anchors


if __name__ == "__main__":
    sys.exit(main())
