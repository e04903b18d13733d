"""Every page of the packed book in a browser, from the disk and from a server: `make pages`.

The archive is unpacked elsewhere, and each page opened in a fresh profile; a request beyond the disk and this machine
and a word in the console fail (`visit` in conftest.py). What is measured on the way goes into build/pages.md.
`make shots` takes a picture of every page as well, in both themes, on a screen and on a phone, into build/shots.
"""

import functools
import http.server
import os
import re
import statistics
import threading
import zipfile
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

BUILD = Path(__file__).parents[1] / os.environ.get("BUILD", "build")
ARCHIVE = BUILD / "sonimatch-book.zip"
PAGES = sorted(
    name.removeprefix("sonimatch-book/")
    for name in zipfile.ZipFile(ARCHIVE).namelist()
    if name.endswith(".html") and "/_static/" not in name and name != "sonimatch-book/index.html"
)
ELEMENT = "div.sonimatch[data-element]"
READY = f"[...document.querySelectorAll('{ELEMENT}')].every(each => each.dataset.ready)"
USABLE = f"[...document.querySelectorAll('{ELEMENT}')].map(each => Number(each.dataset.ready))"
STATE = """each => JSON.stringify([each.innerText, Object.values(each.querySelector(':scope > div').dataset),
    [...each.querySelectorAll('input, select')].map(input => [input.value, input.checked])])"""
PAINTS = """async (slider) => {
    const spent = [];
    const frame = () => new Promise((next) => requestAnimationFrame((begin) => next(performance.now() - begin)));
    for (let k = 0; k < 20; k++) {
        slider.value = slider.max * (0.2 + 0.03 * k);
        const begin = performance.now();
        slider.dispatchEvent(new Event("input", { bubbles: true }));
        const handled = performance.now() - begin;
        spent.push(handled + await frame() + await frame() + await frame());
    }
    return spent;
}"""  # what runs in a frame before us is part of it; a change is drawn within three frames


CLIPPED = """[...document.querySelectorAll('mjx-container[display]')]
    .filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.closest('section').id)"""
EMPTY = """bars => bars.filter(bar => bar.innerText.includes('Show code cell') &&
    !bar.closest('.cell').querySelector('.cell_output')).length"""
SLABS = """figures => figures.filter(each => each.checkVisibility() && (!each.classList.contains('in-dark')
    || getComputedStyle(each).backgroundColor !== 'rgba(0, 0, 0, 0)')).length"""
THEMES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])


@pytest.fixture(scope="module")
def report():
    """Rows of measurements, written when all pages have been seen."""
    rows: list[tuple] = []
    yield rows
    head = [("page", "element", "usable in (ms, median of 3)", "a drag drawn in (ms, median)", "at most"), ["---"] * 5]
    lines = (f"| {' | '.join(row)} |\n" for row in head + sorted(rows))
    (BUILD / "pages.md").write_text("".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("elsewhere")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder / "sonimatch-book"


@pytest.fixture(scope="module")
def server(book):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=book)) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def loaded(page):
    page.wait_for_function(READY)
    page.wait_for_function("!document.querySelector('.math') || document.querySelector('mjx-container')")
    return page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_from_a_server_and_narrow(visit, server, name):
    page = loaded(visit(f"{server}/{name}", 390, dark=True))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    touch = page.evaluate("[...document.querySelectorAll('canvas')].map(each => getComputedStyle(each).touchAction)")
    assert "none" not in touch, "a finger scrolls the page over every picture"


def changed(page, element, act) -> None:
    """Do something, and see that the element is another after it."""
    before = element.evaluate(STATE)
    act()
    page.wait_for_function(f"([each, before]) => ({STATE})(each) !== before", arg=[element.element_handle(), before])


def move(page, element) -> list[float]:
    """Move an element by keyboard and by mouse, and play it; the times of its repaints in milliseconds."""
    kind = element.get_attribute("data-element")
    if kind == "ListeningTest":
        panel = element.locator(".sonimatch-panel")
        hands = (
            (lambda: panel.press("Space"), lambda: panel.press("4")),
            (
                element.get_by_role("button", name="▶ both").click,
                element.get_by_role("button", name="2", exact=True).click,
            ),
        )
        for play_both, score in hands:
            changed(page, element, score)  # which asks for the sounds first
            play_both()
            page.wait_for_function("sonimatch.sound.playing !== null")
            page.wait_for_timeout(4000)  # both sounds and the pause between them; before that no score counts
            changed(page, element, score)
        assert "2 scored" in element.inner_text()
        return []
    if kind == "SearchTable":
        head, rows = element.locator("thead button").last, element.locator("tbody tr")
        word = rows.last.locator("th, td").first.inner_text()
        changed(page, element, lambda: element.get_by_label("search", exact=True).fill(word))
        assert word in rows.first.inner_text()
        changed(page, element, lambda: head.press("Enter"))
        changed(page, element, head.click)
        return []
    slider = element.locator("input[type=range]:not([aria-label=volume])").first
    full = slider.evaluate("each => each.value === each.max")
    changed(page, element, lambda: slider.press("ArrowLeft" if full else "ArrowRight"))
    box = slider.bounding_box()
    changed(page, element, lambda: page.mouse.click(box["x"] + 0.63 * box["width"], box["y"] + box["height"] / 2))
    if kind in ("LandscapeScrubber", "LandscapeExplorer", "MetricExplorer", "OwnDescent", "SideBySide"):
        canvas = element.locator("canvas").first
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in ((0.45, 0.4), (0.7, 0.6))]

        def drag():
            page.mouse.move(*at[0])
            page.mouse.down()
            page.mouse.move(*at[1], steps=4)
            page.mouse.up()

        changed(page, element, drag)
    assert page.evaluate("sonimatch.sound.playing") is None, "nothing sounds before somebody asks"
    play = element.get_by_role("button", name=re.compile("▶ (play|this|start)"))
    if play.count():
        assert element.evaluate("each => sonimatch.peak(each.querySelector(':scope > div').sonimatch.sound())") > 1e-4
        play.first.click()
        page.wait_for_function("sonimatch.sound.playing !== null")
        page.evaluate("sonimatch.sound.stop()")
    return slider.evaluate(PAINTS)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_from_the_disk(visit, book, report, name):
    *_, page = opened = [loaded(visit((book / name).as_uri(), 1280)) for _ in range(3)]
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    usable = [*map(statistics.median, zip(*(each.evaluate(USABLE) for each in opened), strict=True))]
    for number in range(page.locator(ELEMENT).count()):
        element = page.locator(ELEMENT).nth(number)
        element.scroll_into_view_if_needed()
        paints = move(page, element)
        times = [f"{statistics.median(paints):.1f}", f"{max(paints):.1f}"] if paints else ["–", "–"]
        report.append((name, element.get_attribute("data-element"), str(usable[number]), *times))


@THEMES
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_legible(visit, book, name, dark):
    page = loaded(visit((book / name).as_uri(), 1280, dark))
    assert page.evaluate(CLIPPED) == []
    assert page.locator("details.hide").evaluate_all(EMPTY) == 0
    assert not dark or page.locator(".bd-article img:is(.in-dark, [src*=_images])").evaluate_all(SLABS) == 0
    found = Axe().run(page, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
    assert [
        (each["id"], node["html"][:200], node["failureSummary"])
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ] == []


def test_paper_is_light_and_open(visit, book):
    page = loaded(visit((book / "notebooks" / "bp_noise.html").as_uri(), 1280, dark=True))
    state = """[document.documentElement.dataset.theme, document.querySelectorAll('details.sd-dropdown').length,
        [...document.querySelectorAll('.sd-dropdown > .sd-card-body')].filter(each => each.checkVisibility()).length,
        getComputedStyle(document.querySelector('.bd-article p')).color]"""
    before = page.evaluate(state)
    page.evaluate(f"addEventListener('beforeprint', () => {{ globalThis.printed = {state}; }})")
    page.pdf()
    theme, hints, shown, ink = page.evaluate("printed")
    assert (theme, shown) == ("light", hints)
    assert hints
    assert max(map(int, re.findall(r"\d+", ink)[:3])) < 90, "dark on white"
    assert page.evaluate(state) == before


if "SHOTS" in os.environ:

    @THEMES
    @pytest.mark.parametrize("width", [390, 1280])
    @pytest.mark.parametrize("name", PAGES)
    def test_a_picture_of_a_page(visit, book, name, width, dark):
        page = loaded(visit((book / name).as_uri(), width, dark))
        path = Path(os.environ["SHOTS"]) / f"{Path(name).stem}-{width}-{'dark' if dark else 'light'}.png"
        page.evaluate("""Promise.all([...document.images].filter(each => each.checkVisibility())
            .map(each => { each.loading = 'eager'; return each.decode(); }))""")
        page.wait_for_load_state("load")
        page.screenshot(path=path, full_page=True, animations="disabled")


def test_a_reader_without_scripts_sees_a_picture_and_a_sentence(browser, book):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((book / "notebooks" / "index.html").as_uri())
    for fallback in page.locator(".sonimatch-fallback").all():
        assert fallback.is_visible()
        assert fallback.locator("img").get_attribute("alt") == fallback.locator("p").inner_text()
    assert page.locator(".sonimatch-fallback").count() == 2
    context.close()


def test_an_address_opens_where_its_element_stands(visit, book):
    page = loaded(visit((book / "notebooks" / "ranking.html").as_uri() + "#ranking=0,1,1,0,0,40"))
    page.wait_for_load_state("load")
    page.wait_for_timeout(300)
    box = page.locator(ELEMENT).bounding_box()
    assert page.evaluate("scrollY") > 3000
    assert -box["height"] < box["y"] < 900, "in sight"
    assert ", 40 trials;" in page.locator(".sonimatch-numbers").first.inner_text()


@pytest.mark.parametrize(("width", "opens"), [(390, True), (1280, False)])
def test_the_sidebar_opens_and_folds(visit, book, width, opens):
    page = loaded(visit((book / "notebooks" / "ranking.html").as_uri(), width))
    chapter = page.locator(".bd-sidebar-primary a:visible", has_text="The listening test")
    assert chapter.count() == (not opens)
    page.locator("button.primary-toggle:visible").click()
    page.wait_for_function(f"""(document.querySelector('.bd-sidebar-primary a[href="listening.html"]')
        .getBoundingClientRect().right > 0) === {str(opens).lower()}""")
    if opens:
        chapter.click()
        page.wait_for_url("**/listening.html")


def test_an_address_leads_to_a_spot(visit, book):
    page = loaded(visit((book / "notebooks" / "index.html").as_uri() + "#bp_noise=500,20"))
    numbers = page.locator("[data-element=SynthPlayer] .sonimatch-numbers")
    assert "lp_cut 500 Hz, hp_cut 20 Hz" in numbers.inner_text()
    page.evaluate("location.hash = 'the-chapters'")
    page.wait_for_timeout(500)
    assert "lp_cut 500 Hz, hp_cut 20 Hz" in numbers.inner_text(), "a heading moves nothing"
    page.evaluate("location.hash = 'bp_noise=900,30&scrub-s_noise_am-rate=7,10,0'")
    page.wait_for_function("document.body?.innerText.includes('lp_cut 900 Hz, hp_cut 30 Hz')")
    found = re.search(r"rate\n([\d.]+) Hz", loaded(page).locator("[data-element=LandscapeScrubber]").inner_text())
    assert found
    assert abs(float(found[1]) - 7) < 0.1, "the nearest computed point"


def test_the_address_of_the_book_leads_to_its_first_page(visit, book):
    page = visit((book / "index.html").as_uri())
    page.wait_for_url("**/notebooks/index.html")


SEARCHES = {"tremolo": "sinesaw_am", "scattering transform": "losses", "Kruskal": "ranking", "wavelet": "glossary"}


@pytest.mark.parametrize(("words", "found"), SEARCHES.items())
def test_the_search_finds_without_a_network(visit, book, words, found):
    page = visit((book / "notebooks" / "index.html").as_uri())
    page.keyboard.press("Control+k")
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    page.locator(f"#search-results li a[href*='{found}.html']").first.click()
    page.wait_for_url(f"**/{found}.html*")
    assert page.locator("#main-content").get_by_text(re.compile(words.split()[0], re.IGNORECASE)).count()
