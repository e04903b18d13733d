"""The replay in a browser: every step has its numbers and its sound, by slider, by mouse, and as a walk."""

import numpy as np
import pytest

from sonimatch import Landscape, P_loss, Trajectory, hp_noise, noise_am
from sonimatch.widgets.replay import Replay

ELEMENT = "document.querySelector('div.sonimatch > div').sonimatch"
TARGET = {"amp": 2.5, "modulator": 2}  # the middle of the cube
LIVE = """async ([data, traits]) => {
  const on = {};
  window.traits = { data, ...traits };
  window.saved = 0;
  const model = {
    get: (name) => window.traits[name], set: (name, value) => { window.traits[name] = value; },
    on: (event, call) => { (on[event] ||= []).push(call); }, save_changes: () => { window.saved += 1; },
  };
  window.change = (name, value) => { window.traits[name] = value; on["change:" + name].forEach((call) => call()); };
  window.live = document.body.appendChild(document.createElement("div"));
  await sonimatch.elements.Replay(model, window.live);
}"""


def spiral(steps: int, turns: float, out: float = 0.0) -> Trajectory:
    """Around the middle and into it; with `out` it leaves the cube at the end."""
    way = np.linspace(0, 1, steps)
    round_ = np.stack([np.cos(2 * np.pi * turns * way), np.sin(2 * np.pi * turns * way)], 1)
    theta = 0.5 + 0.4 * (1 - way)[:, None] * round_ + out * way[:, None]
    return Trajectory(theta.astype(np.float32), (0.01 + (1 - way) ** 2).astype(np.float32), np.float32(2) ** -(9 * way))


def bowl(size: int = 21) -> Landscape:
    theta = np.stack(np.meshgrid(*[np.linspace(0, 1, size)] * 2, indexing="ij"), -1)
    return Landscape(theta, ((theta - 0.5) ** 2).sum(-1), 2 * (theta - 0.5))


PATHS = {"L1_Spec": spiral(21, 1.5), "SIMSE_Spec": spiral(15, 0.3, out=0.6)}
MAPS = {name: bowl() for name in PATHS}


@pytest.fixture
def replay():
    return Replay(noise_am, PATHS, TARGET, MAPS)


def is_at(there, step):
    there.wait_for_function(f"{ELEMENT}.step() === {step}")


def test_every_step_has_its_numbers_and_its_sound(page, replay):
    there = page(replay)
    slider = there.get_by_label("step", exact=True)
    for step in (1, 2):
        slider.press("ArrowRight")
        is_at(there, step)
    theta = there.evaluate(f"{ELEMENT}.theta()")
    np.testing.assert_allclose(theta, PATHS["L1_Spec"].theta[2], rtol=1e-6)
    text = there.locator(".sonimatch-numbers").inner_text()
    assert f"loss {float(PATHS['L1_Spec'].value[2]):.4g}" in text
    assert f"P-loss {float(P_loss(PATHS['L1_Spec'].theta[2], replay.target)):.4g}" in text
    sound = np.array(there.evaluate(f"Array.from({ELEMENT}.sound())"))
    assert np.abs(sound).max() > 0.1
    assert np.abs(sound - noise_am.render_native(np.array(theta))).max() < 4e-4
    cells = there.locator("tbody tr").nth(1).locator("td").all_inner_texts()
    assert float(cells[1]) == pytest.approx(float(PATHS["SIMSE_Spec"].value[2]), rel=5e-3)


def test_a_click_on_a_curve_goes_there_and_the_shorter_search_rests(page, replay):
    there = page(replay)
    box = there.get_by_label("gradient, scaled over the steps").bounding_box()
    there.mouse.click(box["x"] + box["width"] - 10, box["y"] + 40)
    is_at(there, 20)
    there.get_by_label("hear SIMSE_Spec").check()
    there.wait_for_function(f"{ELEMENT}.trial() === 'SIMSE_Spec'")
    np.testing.assert_allclose(there.evaluate(f"{ELEMENT}.theta()"), PATHS["SIMSE_Spec"].theta[-1], rtol=1e-6)
    assert "out of range" in there.locator(".sonimatch-numbers").inner_text()
    there.mouse.click(box["x"] + 46, box["y"] + 40)
    is_at(there, 0)


def test_a_loss_of_larger_numbers_does_not_hide_the_gradients_of_the_others(page):
    code = """(node) => new Promise((done) => {
      requestAnimationFrame(() => requestAnimationFrame(() => done(node.toDataURL())));
    })"""
    other, pictures = PATHS["SIMSE_Spec"], []
    for factor in (np.float32(1), np.float32(2**30), 1 / other.grad_norm):
        paths = {**PATHS, "SIMSE_Spec": Trajectory(other.theta, other.value, other.grad_norm * factor)}
        there = page(Replay(noise_am, paths, TARGET))
        pictures.append(there.get_by_label("gradient, scaled over the steps").evaluate(code))
    assert pictures[0] == pictures[1]
    assert pictures[0] != pictures[2], "another course is another picture"


@pytest.mark.parametrize("calm", [False, True])
def test_it_walks_to_the_end_and_stops(page, replay, calm):
    there = page(replay, fragment="replay-noise_am=18,0")
    if calm:
        there.emulate_media(reduced_motion="reduce")
    is_at(there, 18)
    assert not there.evaluate(f"{ELEMENT}.walking()"), "nothing moves by itself"
    button = there.get_by_role("button", name="walk through the steps")
    button.click()
    places = there.evaluate(f"""() => new Promise((done) => {{
      const seen = [], look = () => {{
        seen.push({ELEMENT}.place());
        if ({ELEMENT}.walking()) requestAnimationFrame(look); else done(seen);
      }};
      look();
    }})""")
    assert places[-1] == 20
    assert any(place % 1 for place in places) != calm, "between the steps only where motion is welcome"
    assert there.get_by_role("button", name="walk through the steps").get_attribute("aria-pressed") == "false"
    again = there.evaluate(f"""() => new Promise((done) => {{
      const button = document.querySelector("button");
      button.click();
      requestAnimationFrame(() => requestAnimationFrame(() => {{
        const begun = {ELEMENT}.place();
        button.click();
        done([begun < 20, {ELEMENT}.walking()]);
      }}));
    }})""")
    assert again == [True, False], "once more from the beginning, until it is paused"


def test_it_plays_after_a_gesture_and_not_before(page, replay):
    there = page(replay)
    assert there.evaluate("sonimatch.sound.playing") is None
    there.get_by_label("loop").check()
    for name in ("target", "this step"):
        there.get_by_role("button", name=name, exact=False).click()
        there.wait_for_function("sonimatch.sound.playing !== null")
    there.locator("button[aria-pressed=true]").click()
    there.wait_for_function("sonimatch.sound.playing === null")


def test_the_walk_is_heard_step_by_step(page, replay):
    there = page(replay)
    there.evaluate("""() => {
      const { start } = AudioBufferSourceNode.prototype;
      window.heard = [];
      AudioBufferSourceNode.prototype.start = function (...when) {
        window.heard.push(sonimatch.rms(this.buffer.getChannelData(0)));
        return start.apply(this, when);
      };
    }""")
    there.get_by_role("button", name="walk through the steps").click()
    there.wait_for_function("sonimatch.sound.playing !== null")
    there.wait_for_function(f"!{ELEMENT}.walking()")
    assert len(there.evaluate("window.heard")) >= 20, "one for every step, and the beginning"
    assert len({round(level, 5) for level in there.evaluate("window.heard")}) >= 18
    there.wait_for_function("sonimatch.sound.playing === null")  # the last one ends


def test_the_address_remembers_step_and_search(page, replay):
    there = page(replay, fragment="replay-noise_am=7,1")
    assert there.evaluate(f"[{ELEMENT}.step(), {ELEMENT}.trial()]") == [7, "SIMSE_Spec"]
    there.get_by_label("step", exact=True).press("End")
    there.wait_for_function("location.hash.includes('=20,1')")


def test_nonsense_in_the_address_is_the_beginning(page, replay):
    there = page(replay, fragment="replay-noise_am=1e9,7")
    assert there.evaluate(f"[{ELEMENT}.step(), {ELEMENT}.trial()]") == [20, "L1_Spec"]


def test_with_a_kernel_the_traits_go_both_ways(page):
    replay = Replay(noise_am, PATHS, TARGET, every=3)
    there = page(replay)
    there.evaluate(LIVE, [replay.data, {"theta": replay.theta, "step": 6, "trial": "SIMSE_Spec"}])
    at = "[window.live.sonimatch.step(), window.live.sonimatch.trial()]"
    assert there.evaluate(at) == [6, "SIMSE_Spec"]
    there.evaluate("window.change('trial', 'L1_Spec')")
    there.evaluate("window.change('step', 20)")
    assert there.evaluate(at) == [20, "L1_Spec"]
    there.evaluate("theta => window.change('theta', theta)", PATHS["L1_Spec"].theta[9].tolist())
    assert there.evaluate(at) == [9, "L1_Spec"]
    there.get_by_label("step", exact=True).nth(1).press("ArrowRight")
    there.wait_for_function("window.traits.step === 12 && window.saved > 0")
    np.testing.assert_allclose(there.evaluate("window.traits.theta"), PATHS["L1_Spec"].theta[12], rtol=1e-6)


def test_one_parameter_and_no_landscapes(page):
    one = {name: Trajectory(path.theta[:, :1], path.value, path.grad_norm) for name, path in PATHS.items()}
    line = Landscape(np.linspace(0, 1, 9)[:, None], np.linspace(-1, 1, 9) ** 2, np.linspace(-2, 2, 9)[:, None])
    there = page(Replay(hp_noise, one, {}, {"L1_Spec": line}), Replay(noise_am, PATHS, TARGET))
    assert there.locator("div.sonimatch[data-failed]").count() == 0
    assert there.locator("canvas").count() == 2 + 3 + 2 + 4


@pytest.mark.parametrize("width", [390, 1000])
def test_it_fits(page, replay, width):
    there = page(replay, width=width)
    assert there.evaluate("document.documentElement.scrollWidth") <= width


def test_a_finger_takes_the_marker_of_a_curve_and_elsewhere_the_page_scrolls(page, replay, finger):
    there = page(replay, width=390)
    touch, map_, curve = finger(there), there.locator("canvas").first, there.get_by_label("loss, scaled over the steps")
    for canvas in (map_, curve):
        there.evaluate("scrollTo(0, 0)")
        box = canvas.bounding_box()
        there.evaluate("y => scrollTo(0, y)", max(0, box["y"] - 300))
        there.wait_for_timeout(100)
        box, before = canvas.bounding_box(), there.evaluate("scrollY")
        spot = box["x"] + 0.6 * box["width"], box["y"] + 0.8 * box["height"]
        touch(spot, (spot[0], spot[1] - 150))
        assert there.evaluate("scrollY") > before + 60
        is_at(there, 0)
    box, last = curve.bounding_box(), 20
    at = lambda step: (box["x"] + 44 + (box["width"] - 56) * step / last, box["y"] + 40)  # noqa: E731
    touch(at(0), at(10))
    is_at(there, 10)
    there.touchscreen.tap(*at(17))
    is_at(there, 17)
