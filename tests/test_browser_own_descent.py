"""A descent of one's own in a browser: the page computes what Python computes, from wherever the hand begins."""

import numpy as np
import pytest

from sonimatch import L1_Spec, Landscape, SIMSE_Spec, noise_am
from sonimatch.widgets.own_descent import OwnDescent

ELEMENT = "document.querySelector('div.sonimatch > div').sonimatch"
TARGET = {"amp": 2.5, "modulator": 2}  # the middle of the cube
LIVE = """async ([data, traits]) => {
  const on = {};
  window.traits = { data, ...traits };
  window.saved = 0;
  const model = {
    get: (name) => window.traits[name],
    set: (name, value) => { window.traits[name] = value; (on["change:" + name] || []).forEach((call) => call()); },
    on: (event, call) => { (on[event] ||= []).push(call); }, save_changes: () => { window.saved += 1; },
  };
  window.change = (traits) => { for (const [name, value] of Object.entries(traits)) model.set(name, value); };
  window.live = document.body.appendChild(document.createElement("div"));
  await sonimatch.elements.OwnDescent(model, window.live);
}"""


def square(size: int) -> np.ndarray:
    return np.stack(np.meshgrid(*[np.linspace(0, 1, size)] * 2, indexing="ij"), -1)


def bowl(size: int = 25) -> Landscape:
    """A quadratic: its gradient is linear, so that interpolation changes nothing."""
    theta, stretch = square(size), np.array([1.0, 0.3])
    return Landscape(theta, (stretch * (theta - 0.5) ** 2).sum(-1), 2 * stretch * (theta - 0.5))


def waves(size: int = 25) -> Landscape:
    """Valleys that lead nowhere, and a hole in the corner."""
    theta = square(size)
    value = np.sin(7 * theta).sum(-1)
    value[-1, -1] = np.nan
    return Landscape(theta, value, 7 * np.cos(7 * theta))


@pytest.fixture
def own():
    surfaces = {"L1_Spec": bowl(), "SIMSE_Spec": waves()}
    return OwnDescent(noise_am, [L1_Spec(), SIMSE_Spec()], TARGET, surfaces, begin={"amp": 4.5, "modulator": 0.8})


SETTINGS = [
    {},
    {"rule": "GradientDescent", "learning_rate": 0.1},
    {"clip_norm": None, "theta": [0.05, 0.95]},
    {"rule": "GradientDescent", "clip_norm": 0.05, "learning_rate": 0.3},
    {"momentum": 0.7},
    {"rule": "GradientDescent", "clip_norm": None, "learning_rate": 0.02, "momentum": 0.9},
    {"bounded": True, "theta": [1, 1], "learning_rate": 0.3},
]


def test_the_page_computes_what_python_computes(page, own):
    names = ("theta", "rule", "learning_rate", "clip_norm", "momentum", "bounded")
    usual = {name: getattr(own, name) for name in names}
    there = page(own)
    there.evaluate(LIVE, [own.data, usual])
    for settings in SETTINGS:
        for name, setting in (usual | settings).items():
            setattr(own, name, setting)
        there.evaluate("traits => window.change(traits)", usual | settings)
        paths = there.evaluate("window.live.sonimatch.paths()")
        for name, path in own.paths().items():
            np.testing.assert_allclose(paths[name], path, atol=1e-4, err_msg=f"{name}, {settings}")


def test_a_click_is_the_start_and_the_table_says_who_arrives(page, own):
    there = page(own)
    there.get_by_role("radio", name="SIMSE_Spec on the large map").check()
    box = there.get_by_label("SIMSE_Spec: the path").bounding_box()
    there.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.25)
    there.wait_for_function(f"{ELEMENT}.theta()[1] > 0.6")
    own.theta = there.evaluate(f"{ELEMENT}.theta()")
    assert own.theta[0] > 0.6
    arrived = {name: "yes" if each else "no" for name, each in own.arrived().items()}
    assert arrived == {"L1_Spec": "yes", "SIMSE_Spec": "no"}
    rows = [there.locator("tbody tr").nth(i).locator("td").all_inner_texts() for i in (0, 1)]
    assert [row[3] for row in rows] == list(arrived.values())
    end = own.paths()["L1_Spec"][-1]
    assert float(rows[0][2]) == pytest.approx(np.abs(end - 0.5).mean(), rel=5e-3)
    text = there.locator(".sonimatch-numbers").inner_text()
    assert "L1_Spec arrives, P-loss" in text
    assert "SIMSE_Spec does not arrive, P-loss" in text


def test_settings_by_keyboard(page, own):
    there = page(own)
    there.get_by_label("amp", exact=True).press("ArrowLeft")
    there.wait_for_function(f"Math.abs({ELEMENT}.theta()[0] - 0.89) < 1e-6")
    there.get_by_label("rule", exact=True).select_option("gradient descent")
    there.get_by_label("learning rate", exact=True).press("ArrowRight")
    there.get_by_label("momentum", exact=True).press("ArrowRight")
    there.get_by_label("stay in range").check()
    there.get_by_label("longest gradient", exact=True).press("ArrowLeft")
    there.wait_for_function(f"{ELEMENT}.settings().clip_norm < 1")
    own.theta = there.evaluate(f"{ELEMENT}.theta()")
    found = there.evaluate(f"{ELEMENT}.settings()")
    assert (found["rule"], found["bounded"]) == ("GradientDescent", True)
    assert found["learning_rate"] == pytest.approx(0.045 * 500**0.01, rel=5e-3)
    for name, setting in found.items():
        setattr(own, name, setting)
    there.get_by_label("clip the gradient").uncheck()
    there.wait_for_function(f"{ELEMENT}.settings().clip_norm === null")
    own.clip_norm = None
    np.testing.assert_allclose(there.evaluate(f"{ELEMENT}.paths()")["L1_Spec"], own.paths()["L1_Spec"], atol=1e-4)
    assert there.get_by_label("longest gradient", exact=True).is_disabled()


def test_the_share_of_random_starts_is_that_of_python(page, own):
    there = page(own)
    there.get_by_role("button", name="from 30 random starts").click()
    there.wait_for_function(f"{ELEMENT}.share().L1_Spec > 0")
    share = {name: int(each.sum()) for name, each in own.arrived(own.starts).items()}
    assert there.evaluate(f"{ELEMENT}.share()") == share
    assert there.locator("tbody tr").nth(1).locator("td").last.inner_text() == str(share["SIMSE_Spec"])


def test_losses_can_be_left_out(page, own):
    there = page(own)
    there.get_by_label("show SIMSE_Spec").uncheck()
    there.wait_for_function("!document.querySelectorAll('canvas')[2].offsetParent")
    assert "SIMSE_Spec" not in there.locator(".sonimatch-numbers").inner_text()


def test_start_end_and_target_sound_after_a_gesture(page, own):
    there = page(own)
    assert there.evaluate("sonimatch.sound.playing") is None
    there.get_by_label("hear SIMSE_Spec").check()
    for name in ("start", "end", "target"):
        there.get_by_role("button", name=f"▶ {name}", exact=True).click()
        there.wait_for_function("sonimatch.sound.playing !== null")
    sound = np.array(there.evaluate(f"Array.from({ELEMENT}.sound())"))
    assert np.abs(sound).max() > 0.1
    assert np.abs(sound - noise_am.render_native(np.array(own.theta))).max() < 4e-4


def test_the_address_remembers_all_of_it(page, own):
    there = page(own, fragment="descent-noise_am=1,3,0,0.1,0,0.5,1,1,1")
    np.testing.assert_allclose(there.evaluate(f"{ELEMENT}.theta()"), [0.2, 0.75], atol=1e-6)
    wanted = {"rule": "GradientDescent", "learning_rate": 0.1, "clip_norm": None, "momentum": 0.5, "bounded": True}
    assert there.evaluate(f"{ELEMENT}.settings()") == wanted
    assert there.evaluate(f"{ELEMENT}.share().L1_Spec") == 30
    assert not there.get_by_label("show SIMSE_Spec").is_checked()
    there.get_by_label("rule", exact=True).select_option("RMSProp")
    there.wait_for_function("location.hash.includes('=1,3,1,0.1,0,0.5,1,1,1')")


def test_with_a_kernel_the_traits_follow_the_hand(page, own):
    there = page(own)
    names = ("theta", "rule", "learning_rate", "clip_norm", "momentum", "bounded")
    there.evaluate(LIVE, [own.data, {name: getattr(own, name) for name in names}])
    there.get_by_label("learning rate", exact=True).nth(1).press("ArrowRight")
    there.get_by_label("stay in range").nth(1).check()
    there.wait_for_function("window.traits.bounded && window.saved > 0")
    assert there.evaluate("window.traits.learning_rate") > 0.0455
    assert there.evaluate("window.traits.theta") == own.theta


def test_a_finger_takes_the_start_and_elsewhere_it_scrolls_or_taps(page, own, finger):
    there = page(own, width=390)
    touch, before = finger(there), there.evaluate(f"{ELEMENT}.theta()")

    def spot(u, v):  # with a margin of 0.15 around the square
        box = there.locator("canvas").first.bounding_box()
        x, y = (u + 0.15) / 1.3, (1.15 - v) / 1.3
        return box["x"] + 44 + x * (box["width"] - 62), box["y"] + 20 + y * (box["height"] - 50)

    touch(spot(0.3, 0.5), spot(0.3, 1))
    assert there.evaluate("scrollY") > 60
    assert there.evaluate(f"{ELEMENT}.theta()") == before
    there.evaluate("scrollTo(0, 0)")
    there.wait_for_function("scrollY === 0")
    touch(spot(*before), spot(0.5, 0.7))
    assert there.evaluate(f"{ELEMENT}.theta()") == pytest.approx([0.5, 0.7], abs=0.01)
    assert there.evaluate("scrollY") == 0
    there.touchscreen.tap(*spot(0.1, 0.2))
    there.wait_for_function(f"{ELEMENT}.theta()[0] < 0.2")


@pytest.mark.parametrize("width", [390, 1000])
def test_it_fits(page, own, width):
    there = page(own, width=width)
    large = there.locator("canvas").first.bounding_box()
    assert abs(large["width"] - 62 - (large["height"] - 50)) <= 1, "square inside its axes"
    assert there.evaluate("document.documentElement.scrollWidth") <= width
