"""How long the notebooks of a build ran, as a Markdown table: `times.py TOC FOLDER`.

Each executed notebook in FOLDER carries the time stamps of its cells; the table has the order of the file TOC.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml


def files(toc: Any) -> Iterator[str]:
    """The documents of a table of contents, in order."""
    if isinstance(toc, list):
        for entry in toc:
            yield from files(entry)
    elif isinstance(toc, dict):
        yield from (toc[key] for key in ("root", "file") if key in toc)
        for entry in toc.values():
            yield from files(entry)


def run_time(path: Path) -> tuple[datetime, float]:
    """When the first cell of a notebook began, and for how many seconds its cells ran."""
    begin, seconds = [], 0.0
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        stamps = sorted(map(datetime.fromisoformat, cell["metadata"].get("execution", {}).values()))
        if stamps:
            begin.append(stamps[0])
            seconds += (stamps[-1] - stamps[0]).total_seconds()
    return min(begin), seconds


def table(toc: Path, folder: Path) -> str:
    names = files(yaml.safe_load(toc.read_text(encoding="utf-8")))
    times = {name: run_time(folder / f"{Path(name).name}.ipynb") for name in names if name.startswith("notebooks/")}
    rows = [f"| {{doc}}`/{name}` | {at:%Y-%m-%d %H:%M} | {seconds:.0f} |" for name, (at, seconds) in times.items()]
    total = sum(seconds for _, seconds in times.values())
    lines = ["| Chapter | Executed (UTC) | Run time (s) |", "| :-- | :-- | --: |", *rows, f"| all | | {total:.0f} |"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(*map(Path, sys.argv[1:])), end="")
