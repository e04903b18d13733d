"""The synth player in a browser: it sounds as the native render does, follows the hand, and remembers."""

import numpy as np
import pytest

from sonimatch import PNP_SYNTHS, SYNTHS, bp_noise, hp_noise, sinesaw_am
from sonimatch.faust import FaustSynth
from sonimatch.widgets import SynthPlayer

ELEMENT = "document.querySelector('div.sonimatch > div').sonimatch"


@pytest.mark.parametrize("synth", [*SYNTHS, *PNP_SYNTHS], ids=lambda synth: synth.name)
def test_the_sound_is_that_of_the_native_render(page, synth):
    player = SynthPlayer(synth)
    there = page(player)
    sound = np.array(there.evaluate(f"Array.from({ELEMENT}.sound())"))
    assert np.abs(sound - synth.render_native(np.array(player.theta))).max() < 4e-4
    assert there.locator(".sonimatch-hash").text_content().endswith(synth.source_sha256)


UNCOMMON = {
    "functions of C": "process = ma.erf(x) + ma.lgamma(1 + x) + ma.cbrt(x) + ma.expm1(x) + ma.J0(x) + ma.hypot(2, x);",
    "more of them": "process = ma.gamma(1 + x) + ma.log1p(x) + ma.Y0(1 + x) + ma.ilogb(1 + x) + ma.scalb(x, 3);",
    "orders": "process = ma.Jn(2, x) + ma.logb(1 + x) + ma.erfc(x) + ma.acosh(1 + x) + ma.J1(x) + ma.Y1(1 + x);",
    "a table of the rate": "process = rdtable(9, float(ba.time) / ma.SR, ba.time % 9) * x;",
    "a gate": 'process = no.noise * x * en.adsr(0.001, 0.001, 0.5, 0.001, button("gate"));',
    "a whole number": 'process = os.osc(400 * int(nentry("n", 2, 1, 4, 1))) * x;',
    "a warp": 'process = no.noise * hslider("g [scale:exp]", 1, 0, 2, 0.01) * x;',
    "no parameter": "process = no.noise : fi.lowpass(2, 500);",
}


@pytest.mark.parametrize("text", UNCOMMON.values(), ids=UNCOMMON)
def test_what_few_programs_do_is_heard_as_natively(page, text):
    x = 'import("stdfaust.lib"); x = hslider("x", 0.7, 0.1, 2, 0.01) * (1 + ba.time % 7) / 7;'
    switches = {"gate": 0.004} if "gate" in text else {}
    synth = FaustSynth(name="uncommon", source=f"{x}{text}", num_samples=441, switches=switches)
    player = SynthPlayer(synth)
    there = page(player)
    sound = np.array(there.evaluate(f"Array.from({ELEMENT}.sound())"))
    native = synth.render_native(np.array(player.theta))
    np.testing.assert_allclose(sound, native, atol=1e-6 * np.abs(native).max())
    assert np.abs(native).max() > 1e-5


def test_a_program_that_stops_says_so_and_goes_on(page):
    text = 'process = float(int(1e12 * hslider("x", 0, 0, 1, 0.01))) * 1e-10 + 0.5;'
    there = page(SynthPlayer(FaustSynth(name="stops", source=text, num_samples=441)))
    assert there.evaluate(f"{ELEMENT}.sound()[0]") == 0.5
    there.get_by_label("x", exact=True).focus()
    there.keyboard.press("End")
    there.get_by_text("the program stops at this setting:").wait_for()
    assert there.evaluate(f"{ELEMENT}.sound()[0]") == 0
    there.keyboard.press("Home")
    there.get_by_text("the program stops at this setting:").wait_for(state="detached")
    assert there.evaluate(f"{ELEMENT}.sound()[0]") == 0.5


def test_it_moves_by_mouse_and_keyboard_and_the_pitch_follows(page):
    there = page(SynthPlayer(sinesaw_am, carrier=330, amp=4))
    slider = there.get_by_label("carrier", exact=True)
    slider.focus()
    there.keyboard.press("ArrowRight")
    there.wait_for_function(f"Math.abs({ELEMENT}.theta()[0] - {310 / 980 + 0.01}) < 1e-3")
    box = slider.bounding_box()
    there.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
    there.wait_for_function(f"parseFloat({ELEMENT.removesuffix('.sonimatch')}.dataset.theta) > 0.7")  # and drawn
    theta = there.evaluate(f"{ELEMENT}.theta()")
    carrier, _ = map(float, sinesaw_am.space.to_physical(np.array(theta)))
    sound = np.array(there.evaluate(f"Array.from({ELEMENT}.sound())"))
    strongest = 20 + np.abs(np.fft.rfft(sound))[20:].argmax()
    assert abs(strongest - carrier) < 8, "one second, so bins are hertz; the modulator stays below 20"
    assert "carrier" in there.locator(".sonimatch-numbers").inner_text()


def test_it_plays_after_a_gesture_and_not_before(page):
    there = page(SynthPlayer(bp_noise, target={"lp_cut": 900}, lp_cut=300))
    assert there.evaluate("sonimatch.sound.playing") is None
    there.get_by_label("loop").check()
    there.get_by_role("button", name="target").click()
    there.wait_for_function("sonimatch.sound.playing !== null")
    there.get_by_role("button", name="this setting").click()
    there.wait_for_function("sonimatch.sound.playing !== null")
    assert there.locator("button[aria-pressed=true]").count() == 1
    there.locator("button[aria-pressed=true]").click()
    there.wait_for_function("sonimatch.sound.playing === null")


def test_the_address_remembers_the_setting(page):
    there = page(SynthPlayer(bp_noise), fragment="bp_noise=700,60")
    theta = there.evaluate(f"{ELEMENT}.theta()")
    np.testing.assert_allclose(bp_noise.space.to_physical(np.array(theta)), [700, 60], rtol=1e-4)
    there.get_by_label("lp_cut", exact=True).press("ArrowLeft")
    there.wait_for_function("!location.hash.includes('=700,')")
    assert "bp_noise=" in there.evaluate("location.hash")


@pytest.mark.parametrize("fragment", ["bp_noise=fast,low", "bp_noise=700", "bp_noise=", "bp_noise=1,2,3", "=&%"])
def test_an_address_that_says_nothing_changes_nothing(page, fragment):
    there = page(SynthPlayer(bp_noise), fragment=fragment)
    theta = there.evaluate("document.querySelector('div.sonimatch > div').sonimatch.theta()")
    np.testing.assert_allclose(theta, bp_noise.space.theta({}), rtol=1e-6)


def test_nothing_is_no_number(page):
    there = page(SynthPlayer(hp_noise), fragment="hp_noise=")
    theta = there.evaluate("document.querySelector('div.sonimatch > div').sonimatch.theta()")
    np.testing.assert_allclose(theta, hp_noise.space.theta({}), rtol=1e-6)


def test_twins_have_addresses_of_their_own(page):
    there = page(SynthPlayer(bp_noise), SynthPlayer(bp_noise, views=["spectrum"]), fragment="bp_noise-2=700,60")
    every = "[...document.querySelectorAll('div.sonimatch > div')].map(each => each.sonimatch.theta())"
    for theta, setting in zip(there.evaluate(every), ({}, {"lp_cut": 700, "hp_cut": 60}), strict=True):
        np.testing.assert_allclose(theta, bp_noise.space.theta(setting), rtol=1e-4)
    assert there.locator("div.sonimatch").nth(1).locator("canvas").count() == 1


def test_a_hidden_target_is_heard_and_not_told(page):
    secret = {"lp_cut": 313.25, "hp_cut": 77.5}
    player = SynthPlayer(bp_noise, target=secret, lp_cut=1000, hp_cut=1)
    there = page(SynthPlayer(bp_noise), player, fragment="bp_noise-2=900,2")
    panel = there.locator(".sonimatch-panel").nth(1)
    text = panel.inner_text() + panel.aria_snapshot() + player.sentence()
    assert "lp_cut 900 Hz, hp_cut 2 Hz" in text
    assert not any(f"{value:.3g}" in text for value in secret.values())
    panel.get_by_role("button", name="target").click()
    there.wait_for_function("sonimatch.sound.playing !== null")
    panel.get_by_label("hp_cut", exact=True).press("ArrowRight")
    there.wait_for_function("location.hash.includes('bp_noise-2=900,')")
    assert "bp_noise=" not in there.evaluate("location.hash"), "each player has its own place in the address"


@pytest.mark.parametrize("width", [390, 1000])
def test_it_fits(page, width):
    there = page(SynthPlayer(bp_noise), width=width)
    assert there.evaluate("document.documentElement.scrollWidth") <= width
