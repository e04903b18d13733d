"""The landscape explorer in a browser: one point on all maps, its numbers are the stored ones."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from sonimatch import L1_Spec, SIMSE_Spec, noise_am
from sonimatch.widgets.landscape_explorer import LandscapeExplorer

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


def test_wherever_the_point_goes_its_numbers_are_those_of_jax(page, explorer):
    """To 1e-3 of the steepest slope: L1_Spec sums 10,000 signs, and single precision flips one or the other."""
    there, target = page(explorer), noise_am(noise_am.space.theta({"amp": 2, "modulator": 3}))
    losses = {loss.name: loss for loss in (L1_Spec(), SIMSE_Spec())}

    def distance(loss, theta):
        return loss.distance(loss.feature(target), loss.feature(noise_am(theta)))

    exact = jax.jit(jax.value_and_grad(distance, argnums=1), static_argnums=0)
    seen = set()
    for at in ((0.63, 0.47), (0.11, 0.9), (0.85, 0.33), (0.5, 0.55)):
        drag(there, 0, (0.2, 0.3), at)
        theta, value, gradient, _ = shown(there)
        assert np.abs(np.subtract(theta, at)).max() < 0.11, "the nearest step"
        seen.add(tuple(theta))
        for name, loss in losses.items():
            found, slope = exact(loss, np.array(theta, np.float32))
            steepest = np.abs(explorer.landscapes[name].gradient).max()
            assert value[name] == pytest.approx(float(found), rel=1e-4, abs=1e-4)
            np.testing.assert_allclose(gradient[name], slope, rtol=1e-3, atol=1e-3 * steepest)
        explorer.theta = theta
        assert (explorer.theta, explorer.value) == (theta, value)
    assert len(seen) == 4
    begin = shown(there)[0]
    there.get_by_label("modulator", exact=True).press("ArrowRight")
    assert shown(there)[0] == pytest.approx([begin[0], begin[1] + 0.2])
    there.wait_for_function("location.hash.includes('explore-noise_am=')")


def test_another_loss_becomes_the_large_map(page, explorer):
    there = page(explorer)
    large = there.get_by_role("application")
    assert "L1_Spec over" in large.get_attribute("aria-label")
    before = large.evaluate("node => node.toDataURL()")
    there.get_by_role("radio", name="L1_Spec").focus()
    there.keyboard.press("ArrowRight")
    there.wait_for_function(f"{ELEMENT}.dataset.loss === 'SIMSE_Spec'")
    shown(there)
    assert "SIMSE_Spec over" in large.get_attribute("aria-label")
    assert large.evaluate("node => node.toDataURL()") != before
    there.wait_for_function("location.hash.endsWith(',1')")
    there.locator("canvas").nth(1).click()
    there.wait_for_function(f"{ELEMENT}.dataset.loss === 'L1_Spec'")
    again = page(explorer, fragment="explore-noise_am=3,1,1")
    assert "SIMSE_Spec over" in again.get_by_role("application").get_attribute("aria-label")
    assert shown(again)[0] == pytest.approx([0.6, 0.2])


@pytest.mark.parametrize("width", [390, 1280])
def test_the_maps_are_square_and_the_first_is_large(page, explorer, width):
    there = page(explorer, width=width)
    large, *small = (there.locator("canvas").nth(k).bounding_box() for k in range(3))
    sides = large["width"] - 44 - 18, large["height"] - 20 - 30
    assert abs(sides[0] - sides[1]) <= 1
    assert sides[0] > 270
    assert all(abs(each["width"] - each["height"]) <= 1 and each["y"] > large["y"] + large["height"] for each in small)
    assert there.evaluate("document.documentElement.scrollWidth") <= width


def test_a_finger_takes_the_point_and_elsewhere_it_scrolls_or_taps(page, explorer, finger):
    there = page(explorer, width=390)
    touch, before = finger(there), shown(there)[0]
    box = there.locator("canvas").first.bounding_box()

    def spot(x, y):
        box = there.locator("canvas").first.bounding_box()
        return box["x"] + 44 + x * (box["width"] - 62), box["y"] + 20 + (1 - y) * (box["height"] - 50)

    away = spot((before[0] + 0.5) % 1, (before[1] + 0.5) % 1)
    touch(away, (away[0], away[1] - 150))
    assert there.evaluate("scrollY") > 100, "the page scrolls"
    assert shown(there)[0] == before
    there.evaluate("scrollTo(0, 0)")
    there.wait_for_function("scrollY === 0")
    touch(spot(*before), spot(before[0], before[1] - 0.4 if before[1] > 0.5 else before[1] + 0.4))
    theta = shown(there)[0]
    assert abs(theta[1] - before[1]) == pytest.approx(0.4)
    assert theta[0] == before[0]
    assert there.evaluate("scrollY") == 0, "and the page stays"
    there.touchscreen.tap(*spot(0.8, 0.2))
    assert shown(there)[0] == pytest.approx([0.8, 0.2])
    assert box["width"] > 300


def test_the_sound_is_that_of_the_point(page, explorer):
    there = page(explorer, fragment="explore-noise_am=3,1")
    theta = shown(there)[0]
    np.testing.assert_allclose(theta, [0.6, 0.2], rtol=1e-6)
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
