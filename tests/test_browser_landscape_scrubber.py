"""The landscape scrubber in a browser: its numbers are the stored ones, its target moves, its sound is right."""

import json

import numpy as np
import pytest

from sonimatch import L1_Spec, SIMSE_Spec, hp_noise, noise_am
from sonimatch.widgets.landscape_scrubber import LandscapeScrubber, interpolate, place_of

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
    return interpolate(scrubber.tables[name][found["row"], part], place_of(scrubber.grid.tolist(), found["theta"]))


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


def test_numbers_on_the_grid_are_the_stored_ones(page, scrubber):
    there = page(scrubber)
    slider = there.get_by_label("cut", exact=True)
    slider.evaluate("(node) => { node.value = 0; node.dispatchEvent(new Event('input')); }")
    row = int(np.abs(scrubber.rows - scrubber.target[0]).argmin())
    for step in range(11):
        found, column = shown(there), int(np.abs(scrubber.grid - step / 10).argmin())
        assert found["theta"] == pytest.approx(step / 10)
        for name in NAMES:
            assert found["value"][name] == scrubber.tables[name][row, 0, column]
            assert found["gradient"][name] == scrubber.tables[name][row, 1, column]
        for _ in range(10):
            slider.press("ArrowRight")


def test_between_the_grid_it_interpolates_as_python_does(page, scrubber):
    there = page(scrubber)
    drag(there, (0.3, 0.1), (0.777, 0.1))
    found = shown(there)
    assert abs(found["theta"] - 0.777) < 0.003
    scrubber.theta = [found["theta"]]
    assert found["value"] == scrubber.value
    for name in NAMES:
        assert found["gradient"][name] == there_in_python(scrubber, name, found, 1)


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
    assert there.get_by_role("row").filter(has_text="L1_Spec").inner_text().endswith("→ target")


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
