"""A Sphinx extension: pages without what only a kernel could use.

That is Thebe, which the theme brings, some of it twice, and which would come from the network, and the state of
widgets, for our elements carry their own.
"""

from __future__ import annotations

from typing import Any


def leave_out(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Take such scripts and styles out of a page's head."""
    for kind in ("script_files", "css_files"):
        files = ((file, str(file).lower()) for file in context[kind])
        context[kind] = [file for file, text in files if "thebe" not in text and "widget-state" not in text]


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("html-page-context", leave_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
