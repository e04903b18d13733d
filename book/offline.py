"""A Sphinx extension: pages without the scripts that would ask the network for a kernel.

The theme brings those of Thebe, some of them twice, which every browser reports as an error.
"""

from __future__ import annotations

from typing import Any


def leave_out_thebe(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Take Thebe's scripts and styles out of a page's head."""
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context[kind] if "thebe" not in str(file).lower()]


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("html-page-context", leave_out_thebe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
