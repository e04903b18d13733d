"""How the elements sound in a browser: one gain, one voice, and a sound that follows the hand without a gap.

What goes out is rendered by an offline context, to the sample, so a busy machine changes nothing in it; what a real one
schedules while a slider moves is measured, and goes into build/sound.md.
"""

import statistics
from pathlib import Path

import numpy as np
import pytest

from sonimatch import SYNTHS, bp_noise, hp_noise, noise_am
from sonimatch.widgets import Players, SynthPlayer

PLACE = "document.querySelector('div.sonimatch > div')"
ELEMENT = f"{PLACE}.sonimatch"
REPORT = Path(__file__).resolve().parents[1] / "build" / "sound.md"
# Every start of a buffer, every ramp and every input is noted.
WATCH = """() => {
  Object.assign(window, { starts: [], fades: [], inputs: [] });
  const { start } = AudioBufferSourceNode.prototype, param = AudioParam.prototype;
  const { setValueAtTime: set, linearRampToValueAtTime: ramp } = param;
  AudioBufferSourceNode.prototype.start = function (when, offset) {
    const ahead = (when - this.context.currentTime) * 1000, rms = sonimatch.rms(this.buffer.getChannelData(0));
    window.starts.push({ at: performance.now(), ahead, when, offset, rms });
    return start.call(this, when, offset);
  };
  param.setValueAtTime = function (value, from) { this.from = from; return set.call(this, value, from); };
  param.linearRampToValueAtTime = function (value, until) {
    window.fades.push((until - this.from) * 1000);
    return ramp.call(this, value, until);
  };
  document.addEventListener("input", () => window.inputs.push(performance.now()), true);
}"""
# Two seconds of what goes out while the loop sounds and, every 57 ms, gives way to the next of some settings.
OFFLINE = """async (settings) => {
  const offline = new OfflineAudioContext(1, 2 * 44100, 44100), resume = offline.resume.bind(offline);
  const { sound, synth } = ELEMENT;
  offline.resume = async () => {};
  window.AudioContext = function () { return offline; };
  document.querySelector("[type=checkbox]").click();
  document.querySelector("button").click();
  let at = 0;
  for (let time = 0.1; time < 1.9; time += 0.057) {
    offline.suspend(time).then(() => {
      sonimatch.sound.change(settings.length ? synth.render(settings[at++ % settings.length]) : sound());
      resume();
    });
  }
  return Array.from((await offline.startRendering()).getChannelData(0));
}""".replace("ELEMENT", ELEMENT)


@pytest.fixture(scope="module")
def report():
    rows: list[tuple[str, ...]] = []
    yield rows
    head = "synth", "frames a second", "updates a second", "crossfade (ms)", "hand to sound (ms, median)", "at most"
    lines = ["| " + " | ".join(row) + " |\n" for row in [head, ("---",) * 6, *sorted(rows)]]
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("".join(lines), encoding="utf-8")


DRAG = """async ([label, low, high, seconds]) => {
  const slider = document.querySelector(`[aria-label=${label}]`), begun = performance.now();
  let frames = 0, spent = 0;
  while (spent < seconds) {
    await new Promise(requestAnimationFrame);
    spent = (performance.now() - begun) / 1000;
    slider.value = slider.max * (low + (high - low) * Math.abs((spent * 2) % 2 - 1));
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    frames += 1;
  }
  return frames / spent;
}"""


def drag(there, label, seconds=2.0, low=0.5, high=0.9):
    """Move a slider to and fro, in every frame; how many there were in a second."""
    return there.evaluate(DRAG, [label, low, high, seconds])


@pytest.mark.parametrize("synth", SYNTHS, ids=lambda synth: synth.name)
def test_the_sound_follows_the_hand(page, report, synth):
    there = page(SynthPlayer(synth))
    there.evaluate(WATCH)
    there.get_by_label("loop").check()
    there.get_by_role("button", name="play").click()
    frames = drag(there, synth.space.names[0])
    starts, fades, inputs = there.evaluate("[window.starts, window.fades, window.inputs]")
    rate = (len(starts) - 1) / (starts[-1]["at"] - starts[0]["at"]) * 1000
    assert rate >= min(10, frames / 4), "ten times a second, where the machine draws forty"
    turns = [each["when"] - each["offset"] - starts[0]["when"] for each in starts]
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-4, err_msg="each goes on where the loop of a second is")
    assert 0 < max(fades) <= 30 + 1e-6
    assert statistics.median(each["ahead"] for each in starts) > 0, "in time"
    waits = [each["at"] + each["ahead"] - max(at for at in inputs if at <= each["at"]) for each in starts[1:]]
    late = f"{statistics.median(waits):.0f}", f"{max(waits):.0f}"
    report.append((synth.name, f"{frames:.0f}", f"{rate:.1f}", f"{max(fades):.0f}", *late))


def test_there_is_no_gap_while_it_follows(page):
    there = page(SynthPlayer(bp_noise, lp_cut=600))
    sound = np.array(there.evaluate(OFFLINE, [[place, 0.05] for place in np.linspace(0.4, 1, 12)]))
    windows = sound[441 : len(sound) // 441 * 441].reshape(-1, 441)
    level = np.sqrt((windows**2).mean(1))
    assert level.min() > 0.25 * np.median(level), "in every 10 ms; this noise is steady to a few decibels"


def test_the_same_sound_again_and_again_is_one_sound(page):
    """Crossfades at one position, whose gains add up to 1, leave a loop as it is, sample by sample."""
    there = page(SynthPlayer(bp_noise, lp_cut=600))
    sound = np.array(there.evaluate(OFFLINE, []))
    buffer = np.array(there.evaluate(f"Array.from({ELEMENT}.sound())"))
    gain = 0.7 / there.evaluate(f"{ELEMENT}.synth.loudest.peak") * 0.8  # and the volume
    first = np.flatnonzero(sound)[0] - np.flatnonzero(buffer)[0]
    assert first < 0.02 * 44_100
    expected = gain * buffer[(np.arange(len(sound)) - first) % len(buffer)]
    np.testing.assert_allclose(sound[first:], expected[first:], atol=1e-4 * np.abs(expected).max())


def test_what_is_louder_is_heard_as_louder(page):
    there = page(SynthPlayer(noise_am, amp=0.7, modulator=2))
    heard = []
    for amp in (0.7, 1.5, 5):
        there.evaluate(f"""() => {{
          const range = document.querySelector("[aria-label=amp]");
          range.value = {(amp - noise_am.space.low[0]) / (noise_am.space.high[0] - noise_am.space.low[0])} * range.max;
          range.dispatchEvent(new Event("input", {{ bubbles: true }}));
        }}""")
        there.wait_for_function(f"Math.abs(parseFloat({PLACE}.dataset.theta) - {amp / 5:.4f}) < 0.01")
        if not heard:
            there.evaluate(WATCH)
        there.get_by_role("button", name="play").click()
        heard.append(there.evaluate("window.starts.at(-1).rms"))
        there.evaluate("sonimatch.sound.stop()")
    np.testing.assert_allclose(np.divide(heard, heard[0]), [1, 1.5 / 0.7, 5 / 0.7], rtol=0.02)


def test_the_loudest_setting_peaks_at_the_limit_and_nothing_is_clipped(page):
    target = {"amp": 5, "modulator": 2}
    there = page(SynthPlayer(noise_am, target=target), SynthPlayer(hp_noise, target=3 * np.ones(44_100)))
    for number, label in enumerate(("amp", "cut")):
        place = f"[...document.querySelectorAll('div.sonimatch > div')][{number}]"
        loudest = there.evaluate(f"{place}.sonimatch.synth.loudest.peak")
        assert there.locator("div.sonimatch").nth(number).get_by_label(label, exact=True).count() == 1
        assert loudest == pytest.approx((noise_am.render_native(np.ones(2)).max(), 3)[number], rel=0.1)


def test_the_axes_stay(page):
    """Half the sound is half the wave in the picture, and 6 dB less in the spectra."""
    there = page(SynthPlayer(noise_am, amp=4, modulator=2, views=["waveform"]))
    inked = """() => {
      const canvas = document.querySelector("canvas"), pen = canvas.getContext("2d");
      const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 99 && data[i] < 60 && data[i + 2] > 120) count++;
      return count;
    }"""
    there.wait_for_timeout(200)
    loud = there.evaluate(inked)
    half = "each => { each.value = each.max * 0.4; each.dispatchEvent(new Event('input')); }"
    there.get_by_label("amp", exact=True).evaluate(half)
    there.wait_for_timeout(200)
    assert 0.4 < there.evaluate(inked) / loud < 0.62


def test_the_loop_acts_at_once(page):
    there = page(SynthPlayer(bp_noise))
    there.evaluate(WATCH)
    there.locator("body").click(position={"x": 2, "y": 2})  # a gesture
    beyond = there.evaluate("""async () => {
      const [button, loop] = document.querySelectorAll("button, [type=checkbox]");
      const wait = (ms) => new Promise((next) => setTimeout(next, ms));
      button.click();
      await wait(300);
      loop.click();
      await wait(2000);
      return sonimatch.sound.playing !== null;
    }""")
    assert beyond, "it repeats"
    assert there.evaluate("window.starts.length") == 1, "in place"
    there.get_by_label("loop").uncheck()
    there.wait_for_function("sonimatch.sound.playing === null")  # at its end


@pytest.fixture
def sounds():
    tone = np.sin(2 * np.pi * 440 * np.arange(3 * 44_100) / 44_100)
    return {"one": tone, "two": 0.5 * tone}


def players(sounds, tmp_path, monkeypatch):
    monkeypatch.setenv("SONIMATCH_SOUNDS", str(tmp_path / "_static" / "sounds"))
    return Players(sounds, 44_100)._repr_html_()


PLAYING = "[...document.querySelectorAll('audio')].map(audio => !audio.paused)"


def test_there_is_one_voice(page, sounds, tmp_path, monkeypatch):
    there = page(SynthPlayer(bp_noise), SynthPlayer(hp_noise), extra=players(sounds, tmp_path, monkeypatch))
    one, two = (there.get_by_role("button", name=f"play {name}") for name in ("one", "two"))
    there.get_by_label("loop").first.check()
    there.get_by_role("button", name="▶ play").first.click()
    pressed = "document.querySelectorAll('button[aria-pressed=true]').length"
    assert there.evaluate(pressed) == 1
    one.click()
    there.wait_for_function(f"String({PLAYING}) === 'true,false' && {pressed} === 0")
    two.click()
    there.wait_for_function(f"String({PLAYING}) === 'false,true' && sonimatch.sound.playing.tagName === 'AUDIO'")
    there.get_by_role("button", name="▶ play").last.click()
    there.wait_for_function(f"String({PLAYING}) === 'false,false' && {pressed} === 1")
    one.click()
    there.wait_for_function(f"String({PLAYING}) === 'true,false' && {pressed} === 0")
    there.get_by_role("button", name="stop one").click()
    there.wait_for_function(f"String({PLAYING}) === 'false,false' && sonimatch.sound.playing === null")


def test_a_group_of_players_is_one_tab_stop(page, sounds, tmp_path, monkeypatch):
    there = page(SynthPlayer(bp_noise), extra=players(sounds, tmp_path, monkeypatch) * 2)
    there.locator(".sonimatch-file button").nth(0).focus()
    there.keyboard.press("ArrowRight")
    assert there.evaluate("document.activeElement.ariaLabel") == "play two"
    there.keyboard.press("Enter")
    there.wait_for_function(f"String({PLAYING}) === 'false,true,false,false'")
    there.keyboard.press("Tab")
    assert there.evaluate("document.activeElement.closest('.players') === document.querySelectorAll('.players')[1]")
    there.keyboard.press("Tab")
    assert there.evaluate("document.activeElement.closest('.players')") is None


def test_players_are_the_browsers_own_without_scripts(browser, sounds, tmp_path, monkeypatch):
    html = players(sounds, tmp_path, monkeypatch)
    (tmp_path / "page.html").write_text(html)
    context = browser.new_context(java_script_enabled=False)
    bare = context.new_page()
    bare.goto((tmp_path / "page.html").as_uri())
    assert bare.locator("audio[controls]:visible").count() == 2
    context.close()


def test_a_finger_scrolls_over_pictures_and_finds_the_sliders(page):
    there = page(SynthPlayer(bp_noise), width=390)
    pictures = there.locator("canvas").evaluate_all("all => all.map(each => getComputedStyle(each).touchAction)")
    assert {*pictures} == {"auto"}
    sliders = there.locator("[type=range]").evaluate_all("all => all.map(each => each.getBoundingClientRect().height)")
    assert min(sliders) >= 24


def test_the_hash_is_folded(page):
    there = page(SynthPlayer(bp_noise))
    assert not there.get_by_text(bp_noise.source_sha256).is_visible()
    there.get_by_text("bp_noise.dsp").click()
    assert there.get_by_text(bp_noise.source_sha256).is_visible()
