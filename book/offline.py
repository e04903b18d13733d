"""A Sphinx extension: pages without what only a kernel could use, whose scripts keep nobody waiting.

What a kernel uses is Thebe, which the theme brings, some of it twice, and which would come from the network, and the
state of widgets, for our elements carry their own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

OURS = "elements.js", "mode.js"  # before all others: what moves, and the colours


def leave_out(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Take such scripts and styles out of a page's head."""
    for kind in ("script_files", "css_files"):
        files = ((file, str(file).lower()) for file in context[kind])
        context[kind] = [file for file, text in files if "thebe" not in text and "widget-state" not in text]


def defer(app: Any, exception: Exception | None) -> None:
    """Let the scripts in the head of a page run when it is read, in their order; the theme knows no option for it."""
    wanted = re.compile(rf"<script (?=[^>]*\bsrc=)(?![^>]*\b(?:defer|{'|'.join(map(re.escape, OURS))})\b)")
    for path in Path(app.outdir).rglob("*.html"):
        head, end, body = path.read_text(encoding="utf-8").partition("</head>")
        path.write_text(wanted.sub("<script defer ", head) + end + body, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("html-page-context", leave_out)
    app.connect("build-finished", defer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
