"""Checks on what a build made: `check.py notebook FILE...`, `check.py site FOLDER` and `check.py tests FILE...`.

A notebook must have run to its end without a Python warning, and what it folds must say what it is.  A site must need
no network: scripts, styles, pictures and sounds all lie in its own folder; and no page may weigh more than it should.
Of tests, by pytest's XML, it tells what was skipped for want of a browser.
"""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

PAGE_LIMIT = 1_500_000  # bytes of a page's own HTML, pictures and sounds, without the twins for the other theme
LANDING, LANDING_LIMIT = "notebooks/index.html", 600_000


def check_notebook(path: Path) -> list[str]:
    """Return what is wrong with one executed notebook."""
    problems = []
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], 1):
        if cell["cell_type"] != "code":
            continue
        if cell["execution_count"] is None and "".join(cell["source"]).strip():
            problems.append(f"{path.name}, cell {number}: was not executed")
        folds, named = "hide-input" in cell["metadata"].get("tags", ()), "mystnb" in cell["metadata"]
        if folds and not cell["outputs"] and not named:
            problems.append(f"{path.name}, cell {number}: a bar with nothing beneath; remove-cell, or code_prompt_show")
        for output in cell["outputs"]:
            text = "".join(output.get("text", "")) if output.get("name") == "stderr" else ""
            problems += [
                f"{path.name}, cell {number}: {line.strip()}"
                for line in text.splitlines()
                if re.search(r"\b\w*Warning: ", line)
            ]
    return problems


class Page(HTMLParser):
    """Collects the addresses that a browser fetches by itself when it opens a page."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if tag in {"script", "img", "audio", "video", "source", "iframe", "embed", "track"}:
            self.fetched += [given[key] for key in ("src", "poster") if given.get(key)]
        elif tag == "link" and given.get("rel") not in {"next", "prev", "search", "index", "canonical"}:
            self.fetched.append(given.get("href", ""))


def check_site(root: Path) -> list[str]:
    """Return what is wrong with the pages under `root`."""
    problems = []
    pages = sorted(path for path in root.rglob("*.html") if "_static" not in path.relative_to(root).parts)
    if not pages:
        return [f"{root}: no pages"]
    for path in pages:
        name = path.relative_to(root).as_posix()
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        own = {path}
        for address in page.fetched:
            parts = urlsplit(address)
            if parts.scheme == "data":
                continue
            if parts.scheme or parts.netloc:
                problems.append(f"{name}: fetches {address[:100]}")
                continue
            file = (path.parent / unquote(parts.path)).resolve()
            if not file.is_file():
                problems.append(f"{name}: {address[:100]} is missing")
            elif ("_images" in file.parts or "sounds" in file.parts) and not file.stem.endswith("-dark"):
                own.add(file)
        size, limit = sum(file.stat().st_size for file in own), LANDING_LIMIT if name == LANDING else PAGE_LIMIT
        if size > limit:
            problems.append(f"{name}: {size / 1e6:.2f} MB of its own, more than {limit / 1e6} MB")
    remote = re.compile(r"(?:@import|url\()\s*[\"']?https?://[^\"')\s]+")
    for style in root.rglob("*.css"):
        if found := remote.search(style.read_text(encoding="utf-8")):
            problems.append(f"{style.relative_to(root)}: {found[0][:100]}")
    return problems


def tested(paths: list[Path]) -> str:
    """Return one line on what these runs of pytest, as JUnit XML, could not do."""
    skipped = [skip.get("message", "") for path in paths for skip in ElementTree.parse(path).iter("skipped")]
    without = sum("Chromium" in message for message in skipped)
    if not without:
        return "All tests passed, those in a browser too."
    return (
        f"All other tests passed, but {without} browser tests were skipped: they need Chromium or Google Chrome on "
        "the PATH (Debian: apt install chromium; Fedora: dnf install chromium; macOS: brew install --cask chromium)."
    )


def main(arguments: list[str]) -> int:
    kind, *paths = arguments
    if kind == "tests":
        print(tested([Path(path) for path in paths]))
        return 0
    check = {"notebook": check_notebook, "site": check_site}[kind]
    problems = [problem for path in paths for problem in check(Path(path))]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
