"""A Sphinx extension: pages without what only a kernel could use, which keep nobody waiting.

What a kernel uses is Thebe, which the theme brings, some of it twice, and which would come from the network, and the
state of widgets, for our elements carry their own. Then scripts run when the page is read, the styles are one file,
figures have their dark twins beside them, and the hidden bar at the top loses its buttons, which the theme's script
takes for those that open the sidebars. The theme has no options for that, so the finished pages are changed.
"""

from __future__ import annotations

import os
import re
from functools import cache
from hashlib import sha256
from pathlib import Path
from struct import unpack
from typing import Any

OURS = "elements.js", "mode.js"  # before all others: what moves, and the colours
SCRIPT = re.compile(rf"<script (?=[^>]*\bsrc=)(?![^>]*\b(?:defer|{'|'.join(map(re.escape, OURS))})\b)")
HIDDEN = re.compile(r'<button class="pst-navbar-icon sidebar-toggle.*?</button>', re.DOTALL)
PICTURE = re.compile(r'<img (?=[^>]*\bsrc="[^"]*_images/(?P<hash>\w{64})\.png")[^>]*>')
STYLE = re.compile(r'\s*<link (?=[^>]*rel="stylesheet")(?![^>]*media=)[^>]*href="([^"?:]+\.css)[^>]*>')
CITATIONS = '<div role="list" class="citation-list">', '<div class="citation-list">'  # its children are no list items


def leave_out(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Take such scripts and styles out of a page's head."""
    for kind in ("script_files", "css_files"):
        files = ((file, str(file).lower()) for file in context[kind])
        context[kind] = [file for file, text in files if "thebe" not in text and "widget-state" not in text]


def style(path: Path, room: Path) -> str:
    """A style with those that it imports, as it must read in the folder `room`."""
    text = re.sub(
        r"""url\((["']?)(?!data:|#)([^)"']+)\1\)""",
        lambda found: f"url({os.path.relpath(path.parent / found[2], room)})",
        path.read_text(encoding="utf-8"),
    )
    return re.sub(r'@import "([^"]+)";', lambda found: style(path.parent / found[1], room), text)


def quicken(app: Any, exception: Exception | None) -> None:
    """Let the scripts in the head of each page run when it is read, in their order, and the rest of the above."""
    room = Path(app.outdir).resolve() / "_static"

    @cache
    def together(*paths: Path) -> Path:
        text = "\n".join(style(path, room) for path in paths)
        whole = room / f"styles-{sha256(text.encode()).hexdigest()[:16]}.css"
        whole.write_text(text, encoding="utf-8")
        return whole

    def twins(found: re.Match[str]) -> str:
        """A figure for light pages and for dark ones, of which a light page does not fetch the second."""
        dark = room / "sounds" / f"{found['hash']}-dark.png"
        if not dark.is_file():
            return found[0]
        width, height = unpack(">II", dark.read_bytes()[16:24])  # so that nothing moves when it comes
        light = found[0].replace("<img ", '<img class="in-light" ', 1)
        lazy = f'in-dark dark-light" loading="lazy" width="{width}" height="{height}'  # dark-light: no filter
        other = light.replace(f"_images/{found['hash']}.png", f"_static/sounds/{dark.name}")
        return light + other.replace("in-light", lazy, 1)

    for page in {*room.parent.rglob("*.html")} - {*room.rglob("*.html")}:  # the theme's templates are no pages
        head, end, body = page.read_text(encoding="utf-8").partition("</head>")
        if names := STYLE.findall(head):
            whole = together(*((page.parent / name).resolve() for name in names))
            link = f'\n    <link rel="stylesheet" href="{os.path.relpath(whole, page.parent)}" />'
            first, *others = STYLE.split(head)[::2]
            head = "".join((first, link, *others))
        body = PICTURE.sub(twins, HIDDEN.sub("", body)).replace(*CITATIONS)
        page.write_text(SCRIPT.sub("<script defer ", head) + end + body, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("html-page-context", leave_out)
    app.connect("build-finished", quicken, priority=900)  # the theme tells light from dark code at the default, 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
