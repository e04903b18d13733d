import resource
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module", autouse=True)
def _forget_what_was_compiled():
    """A process that runs many modules holds gigabytes of compiled programs; from 6 GB on each lets them go."""
    yield
    if (jax := sys.modules.get("jax")) and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 6e6:
        jax.clear_caches()


@pytest.fixture
def fails(capsys):
    """Run words that must fail with status 2; what went to stderr, one or two lines."""

    from sonimatch.__main__ import main

    def run(*words: object) -> str:
        capsys.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:
            status = stop.code
        error = capsys.readouterr().err
        assert status == 2, error
        assert "Traceback" not in error
        assert error.startswith("sonimatch")
        assert 1 <= len(error.splitlines()) <= 2, error
        return error

    return run


LOCAL = tuple(f"{way}://{host}" for way in ("http", "ws") for host in ("localhost", "127.0.0.1"))
HERE = ("file:", "data:", "blob:", *LOCAL)


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium that reaches this machine alone; without one, tests that need it are skipped."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium here")
    with playwright.sync_playwright() as running:
        nowhere = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"
        chromium = running.chromium.launch(executable_path=path, args=["--no-sandbox", nowhere])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """A page at an address, from a fresh profile; nothing but files and this machine may be asked for, and nothing may
    be said in the console. Requests are watched, not intercepted, which would slow them."""
    contexts, complaints = [], []

    def opened(address: str, width: int = 1000, dark: bool = False):
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
            has_touch=width < 500,
        )
        contexts.append(context)

        def asks(asked):
            if not asked.url.startswith(HERE):
                complaints.append(f"asks for {asked.url}")

        context.on("request", asks)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("websocket", asks)
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints


@pytest.fixture
def finger(record_property):
    """`finger(page)` is a hand that swipes from one place of it to another, in CSS pixels, as a touch screen tells.

    The report of the tests gets the length of each swipe, to the right and down, and how far the page scrolled.
    """
    swipes: list[dict[str, float]] = []

    def on(page):
        screen = page.context.new_cdp_session(page)
        page.evaluate("document.body.style.paddingBottom = '3000px'")  # something to scroll

        def swipe(begin, end, steps: int = 12):
            stood = page.evaluate("scrollY")

            def tell(kind, *place):
                points = [{"x": place[0], "y": place[1]}] if place else []
                screen.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

            tell("touchStart", *begin)
            for k in range(1, steps + 1):
                tell("touchMove", *(a + (b - a) * k / steps for a, b in zip(begin, end, strict=True)))
                page.wait_for_timeout(16)
            page.wait_for_timeout(200)
            tell("touchMove", *end)  # it rests before it leaves, so that the page does not go on
            tell("touchEnd")
            page.wait_for_timeout(100)
            right, down = (round(b - a) for a, b in zip(begin, end, strict=True))
            swipes.append({"right_px": right, "down_px": down, "scrolled_px": page.evaluate("scrollY") - stood})

        return swipe

    yield on
    record_property("swipes", swipes)


@pytest.fixture
def page(visit, tmp_path, monkeypatch):
    """A standalone page with elements on it, as a build makes them, opened from the disk."""
    from sonimatch.widgets.element import page_script, page_style

    def opened(*elements, width: int = 1000, dark: bool = False, fragment: str = "", extra: str = ""):
        monkeypatch.setenv("SONIMATCH_SOUNDS", str(tmp_path / "_static" / "sounds"))
        shown = [each if isinstance(each, str) else each._repr_mimebundle_()["text/html"] for each in elements]
        monkeypatch.delenv("SONIMATCH_SOUNDS")
        theme = "dark" if dark else "light"
        ground = "background:#121212;color:#dddddd" if dark else "background:white;color:#222222"
        path: Path = tmp_path / "pages" / "page.html"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f'<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>elements</title>'
            f'<meta name="viewport" content="width=device-width"><style>body{{{ground};font-family:sans-serif}}\n'
            f"{page_style()}</style><script>{page_script()}</script></head><body>{''.join(shown)}{extra}</body></html>",
            encoding="utf-8",
        )
        found = visit(path.as_uri() + (f"#{fragment}" if fragment else ""), width, dark)
        for number in range(len(elements)):
            found.wait_for_selector(f"div.sonimatch[data-element] >> nth={number}")
        every = "[...document.querySelectorAll('div.sonimatch')].every"
        found.wait_for_function(f"{every}(each => 'ready' in each.dataset || 'failed' in each.dataset)")
        return found

    return opened
