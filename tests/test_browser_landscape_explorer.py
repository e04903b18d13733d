"""The landscape explorer in a browser: one point on all maps, its numbers are the stored ones."""

import json
from dataclasses import replace

import numpy as np
import pytest

from sonimatch import L1_Spec, SIMSE_Spec, noise_am
from sonimatch.widgets.landscape_explorer import LandscapeExplorer, interpolate

ELEMENT = "document.querySelector('div.sonimatch > div')"
NAMES = ("L1_Spec", "SIMSE_Spec")


@pytest.fixture(scope="module")
def explorer():
    target = {"amp": 2, "modulator": 3}
    return LandscapeExplorer(noise_am, [L1_Spec(), SIMSE_Spec()], target, num=6, progress=False)


def shown(there):
    there.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    found = there.evaluate(f"({{...{ELEMENT}.dataset}})")
    return [*map(float, found["theta"].split(","))], *(json.loads(found[key]) for key in ("value", "gradient", "paint"))


def drag(there, panel, begin, end):
    box = there.locator("canvas").nth(panel).bounding_box()
    spots = [
        (box["x"] + 44 + x * (box["width"] - 62), box["y"] + 20 + (1 - y) * (box["height"] - 50))
        for x, y in (begin, end)
    ]
    there.mouse.move(*spots[0])
    there.mouse.down()
    there.mouse.move(*spots[1], steps=5)
    there.mouse.up()


def test_numbers_on_the_grid_are_the_stored_ones(page, explorer):
    there = page(explorer)
    first = there.locator("canvas").first
    drag(there, 0, (0.5, 0.5), (-0.2, -0.2))
    for i in range(6):
        for j in range(6):
            theta, value, gradient, _ = shown(there)
            assert theta == pytest.approx([i / 5, j / 5])
            for name in NAMES:
                stored = explorer.landscapes[name]
                assert value[name] == stored.value[i, j]
                assert gradient[name] == stored.gradient[i, j].tolist()
            first.press("ArrowUp")
        drag(there, 0, (i / 5, 0), (i / 5, -0.2))
        first.press("ArrowRight")


def test_the_point_moves_on_every_map_and_between_the_grid_as_in_python(page, explorer):
    there = page(explorer)
    drag(there, 1, (0.2, 0.3), (0.63, 0.47))
    theta, value, gradient, _ = shown(there)
    assert theta == pytest.approx([0.63, 0.47], abs=0.01)
    explorer.theta = theta
    assert value == explorer.value
    for name in NAMES:
        stored = explorer.landscapes[name].gradient
        assert gradient[name] == [interpolate(stored[..., i], *(5 * x for x in theta)) for i in (0, 1)]
    there.get_by_label("modulator", exact=True).press("ArrowRight")
    assert shown(there)[0] == pytest.approx([theta[0], theta[1] + 0.01], abs=1e-3)
    there.wait_for_function("location.hash.includes('explore-noise_am=')")


def test_the_sound_is_that_of_the_point(page, explorer):
    there = page(explorer, fragment="explore-noise_am=3,1")
    theta = shown(there)[0]
    np.testing.assert_allclose(theta, [0.6, 0.25], rtol=1e-6)
    assert there.evaluate("sonimatch.sound.playing") is None
    sound = np.array(there.evaluate(f"Array.from({ELEMENT}.sonimatch.sound())"))
    assert np.abs(sound - noise_am.render_native(theta)).max() < 1e-5
    there.get_by_role("button", name="this setting").click()
    there.wait_for_function("sonimatch.sound.playing !== null")


def test_a_drag_is_quick(page, explorer, record_property):
    there = page(explorer)
    times = []
    for at in np.linspace(0.1, 0.9, 20):
        drag(there, 0, (at, at), (at + 0.02, 1 - at))
        times.append(shown(there)[3])
    record_property("paint_ms", times)
    print(f"a drag repaints in {np.median(times):.2f} ms, at most {max(times):.2f} ms")


def test_a_slope_that_is_rounding_has_no_angle(page):
    """At the right rhythm SIMSE_Spec is level whatever the volume, and its gradient of the size of rounding."""
    losses, goal = [L1_Spec(), SIMSE_Spec()], {"amp": 2, "modulator": 2.4}
    there = page(LandscapeExplorer(noise_am, losses, goal, num=6, theta=[0.8, 0.6], progress=False))
    assert max(map(abs, shown(there)[2]["SIMSE_Spec"])) < 1e-4
    rows = [there.get_by_role("row").filter(has_text=name).inner_text() for name in NAMES]
    assert rows[0].endswith("°")
    assert rows[1].endswith("–")


def test_at_the_target_there_is_no_way_to_it(page, explorer):
    """Where the loss is at its least a slope is rounding, also a hair's breadth off, as an address has it."""
    stored, at = explorer.landscapes["L1_Spec"], (2, 4)
    value, gradient = stored.value.copy(), stored.gradient.copy()
    value[at], gradient[at] = value.min(), 0.5
    goal = dict(zip(noise_am.space.names, map(float, noise_am.space.to_physical(stored.theta[at])), strict=True))
    maps = {"L1_Spec": replace(stored, value=value, gradient=gradient)}
    there = page(LandscapeExplorer(noise_am, target=goal, landscapes=maps, theta=stored.theta[at] + np.float32(1e-7)))
    row = there.get_by_role("row").filter(has_text="L1_Spec")
    assert row.inner_text().endswith("0.5\t0.5\t–")
    there.locator("canvas").first.press("ArrowRight")
    there.wait_for_function(f"!{ELEMENT}.dataset.theta.startsWith('0.4')")
    assert row.inner_text().endswith("°")


@pytest.mark.parametrize(("width", "columns"), [(390, 2), (1000, 2)])
def test_it_fits(page, explorer, width, columns):
    there = page(explorer, width=width)
    assert there.evaluate("document.documentElement.scrollWidth") <= width
    tops = [there.locator("canvas").nth(k).bounding_box()["y"] for k in range(columns)]
    assert len(set(tops)) == 1, "side by side"
