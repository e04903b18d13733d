"""The landscape scrubber in a browser: its numbers are the stored ones, its target moves, its sound is right."""

import json

import jax
import numpy as np
import pytest

from sonimatch import PAPER_LOSSES, L1_Spec, SIMSE_Spec, hp_noise, noise_am, s_noise_am
from sonimatch.widgets.landscape_scrubber import LandscapeScrubber

ELEMENT = "document.querySelector('div.sonimatch > div')"
NAMES = ("L1_Spec", "SIMSE_Spec")


@pytest.fixture(scope="module")
def scrubber():
    return LandscapeScrubber(hp_noise, [L1_Spec(), SIMSE_Spec()], {"cut": 8000}, num=11, targets=6, progress=False)


def shown(there):
    there.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found = there.evaluate(f"({{...{ELEMENT}.dataset}})")
    return {name: json.loads(found[name]) for name in ("theta", "row", "value", "gradient", "paint")}


def there_in_python(scrubber, name, found, part):
    (at,) = np.flatnonzero(scrubber.grid == np.float32(found["theta"]))
    return scrubber.tables[name][found["row"], part, at]


def drag(there, begin, end):
    """From one place of the board to another; fractions of its one panel."""
    board = there.locator("canvas").first.bounding_box()
    spots = [
        (board["x"] + 44 + x * (board["width"] - 62), board["y"] + 12 + (1 - y) * (board["height"] - 42))
        for x, y in (begin, end)
    ]
    there.mouse.move(*spots[0])
    there.mouse.down()
    there.mouse.move(*spots[1], steps=5)
    there.mouse.up()


def test_from_point_to_point_by_keyboard_the_numbers_are_the_stored_ones(page, scrubber):
    there = page(scrubber)
    slider = there.get_by_label("cut", exact=True)
    slider.evaluate("(node) => { node.value = 0; node.dispatchEvent(new Event('input')); }")
    for place in scrubber.grid:
        found = shown(there)
        assert found["theta"] == place
        for name in NAMES:
            assert found["value"][name] == there_in_python(scrubber, name, found, 0)
            assert found["gradient"][name] == there_in_python(scrubber, name, found, 1)
        slider.press("ArrowRight")
    assert shown(there)["theta"] == 1


@pytest.mark.parametrize(("synth", "aim", "places"), [
    (hp_noise, 8000, (7980, 8021, 333, 4444, 7777, 12_345, 18_181)),
    (s_noise_am, 10, (9.97, 10.04, 1.23, 5.55, 8.88, 13.13, 17.77)),
], ids=["hp_noise", "s_noise_am"])  # fmt: skip
def test_wherever_the_handle_goes_its_gradients_are_those_of_jax(page, synth, aim, places):
    """All losses, at settings that fall between the even steps, close to the corner at the target and far from it.

    To 2e-3 of the number, and of the steepest slope: forward mode here, reverse mode there, in single precision."""
    name, space = synth.space.names[0], synth.space
    element = LandscapeScrubber(synth, PAPER_LOSSES, {name: aim}, num=61, targets=0, progress=False)
    there, target, seen = page(element), synth(space.theta({name: aim})), []

    def distance(loss, theta):
        return loss.distance(loss.feature(target), loss.feature(synth(theta)))

    slope, slider = jax.jit(jax.grad(distance, argnums=1), static_argnums=0), there.get_by_label(name, exact=True)
    for place in places:
        wanted = float(space.theta({name: place})[0])
        slider.evaluate("(node, to) => { node.value = to; node.dispatchEvent(new Event('input')); }", 1000 * wanted)
        found = shown(there)
        assert abs(found["theta"] - wanted) < 1 / 60, "the nearest that is computed"
        seen.append(found["theta"])
        for loss in PAPER_LOSSES:
            exact = float(slope(loss, np.array([found["theta"]], np.float32))[0])
            close = pytest.approx(exact, rel=2e-3, abs=2e-3 * float(np.abs(element.tables[loss.name][0, 1]).max()))
            assert found["gradient"][loss.name] == close, (place, loss.name)
    assert len({*seen}) == len(places)
    assert abs(seen[0] - float(space.theta({name: places[0]})[0])) < 1e-3, "beside the target it is computed as well"


def test_at_the_target_a_corner_shows_both_its_slopes(page, scrubber):
    there = page(scrubber, fragment="scrub-hp_noise-cut=8000,8000,0")
    corner, bowl = (there.get_by_role("row").filter(has_text=name).locator("td").nth(1).inner_text() for name in NAMES)
    left, right = (float(each.replace("−", "-")) for each in corner.split(" | "))
    row, at = shown(there)["row"], int(np.abs(scrubber.grid - shown(there)["theta"]).argmin())
    assert [left, right] == pytest.approx(scrubber.tables["L1_Spec"][row, 1, [at - 1, at + 1]], rel=5e-3)
    assert left < 0 < right
    assert "|" not in bowl
    there.get_by_label("cut", exact=True).press("ArrowLeft")
    there.wait_for_function("!document.querySelector('tbody').innerText.includes('|')")


def test_a_finger_takes_the_handle_and_elsewhere_the_page_scrolls(page, scrubber, finger):
    there = page(scrubber, width=390, fragment="scrub-hp_noise-cut=12040,4080,0")
    touch, before = finger(there), shown(there)["theta"]
    board = there.locator("canvas").first.bounding_box()
    spot = lambda x, y: (board["x"] + 44 + x * (board["width"] - 62), board["y"] + y * board["height"])  # noqa: E731
    for place in (before, 0.4):
        touch(spot(place, 0.8), spot(place, 0.3))
        assert there.evaluate("scrollY") > 60, "up and down the page scrolls, also from the handle"
        assert shown(there)["theta"] == before
        there.evaluate("scrollTo(0, 0)")
        there.wait_for_function("scrollY === 0")
    touch(spot(0.4, 0.5), spot(0.5, 0.5))
    assert shown(there)["theta"] == before
    touch(spot(before, 0.5), spot(before - 0.2, 0.5))
    assert shown(there)["theta"] == pytest.approx(before - 0.2, abs=0.051)
    there.touchscreen.tap(*spot(0.9, 0.5))
    assert shown(there)["theta"] == pytest.approx(0.9, abs=0.01)


def test_the_target_can_be_dragged_and_typed(page, scrubber):
    there = page(scrubber)
    begin = float(scrubber.rows[shown(there)["row"]])
    drag(there, (begin, 0.9), (0.81, 0.5))
    found = shown(there)
    assert scrubber.rows[found["row"]] == pytest.approx(0.8)
    there.get_by_label("target", exact=True).press("ArrowLeft")
    found = shown(there)
    assert scrubber.rows[found["row"]] == pytest.approx(0.6)
    for name in NAMES:
        assert found["value"][name] == there_in_python(scrubber, name, found, 0)
    there.wait_for_function("location.hash.includes('scrub-hp_noise-cut=')")


def test_the_sound_is_that_of_the_handle(page, scrubber):
    there = page(scrubber, fragment="scrub-hp_noise-cut=12040,4080,1")
    found = shown(there)
    assert found["theta"] == pytest.approx(0.6)
    assert scrubber.rows[found["row"]] == pytest.approx(0.2)
    assert there.evaluate("sonimatch.sound.playing") is None
    sound = np.array(there.evaluate(f"Array.from({ELEMENT}.sonimatch.sound())"))
    assert np.abs(sound - hp_noise.render_native([found["theta"]])).max() < 1e-5
    there.get_by_role("button", name="target").click()
    there.wait_for_function("sonimatch.sound.playing !== null")


def test_the_raw_curves_are_there_and_a_drag_is_quick(page, scrubber, record_property):
    there = page(scrubber)
    times = []
    for scale in ("raw", "scaled to 0–1"):
        there.get_by_label("curves").select_option(scale)
        for at in np.linspace(0.1, 0.4, 10):
            drag(there, (at, 0.05), (at + 0.02, 0.05))
            times.append(shown(there)["paint"])
    record_property("paint_ms", times)
    print(f"a drag repaints in {np.median(times):.2f} ms, at most {max(times):.2f} ms")
    assert there.get_by_role("row").filter(has_text="L1_Spec").inner_text().endswith("← target")


def test_a_slope_that_is_rounding_leads_nowhere(page):
    """For SIMSE_Spec a volume does not exist: its gradient is of the size of rounding, and has a sign all the same."""
    losses, goal = [L1_Spec(), SIMSE_Spec()], {"amp": 2, "modulator": 2}
    deaf = LandscapeScrubber(noise_am, losses, goal, "amp", num=6, targets=0, theta=[0.6, 0.5], progress=False)
    there = page(deaf)
    gradient = json.loads(there.evaluate(f"{ELEMENT}.dataset.gradient"))
    assert abs(gradient["SIMSE_Spec"]) < 1e-4 < abs(gradient["L1_Spec"])
    rows = [there.get_by_role("row").filter(has_text=name).inner_text() for name in NAMES]
    assert rows[0].endswith("← target")
    assert rows[1].endswith("–")


@pytest.mark.parametrize("width", [390, 1000])
def test_it_fits(page, scrubber, width):
    there = page(scrubber, width=width)
    assert there.evaluate("document.documentElement.scrollWidth") <= width
