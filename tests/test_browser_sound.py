"""How the elements sound in a browser: one gain, one voice, and a sound that follows the hand without a gap.

What the audio thread puts out is recorded by a worklet beside the loudspeaker, so a busy machine changes nothing in it.
What is measured goes into build/sound.md.
"""

import statistics
import time
from pathlib import Path

import numpy as np
import pytest

from sonimatch import SYNTHS, bp_noise, hp_noise, noise_am
from sonimatch.widgets import Players, SynthPlayer

ELEMENT = "document.querySelector('div.sonimatch > div').sonimatch"
REPORT = Path(__file__).resolve().parents[1] / "build" / "sound.md"
# The output is recorded from the first connection to it; every start of a buffer and every ramp is noted.
RECORD = """() => {
  const worklet = `registerProcessor("record", class extends AudioWorkletProcessor {
    process([[left]]) { this.port.postMessage([currentFrame, left ? left.slice() : new Float32Array(128)]); return true; }
  })`;
  const address = URL.createObjectURL(new Blob([worklet], { type: "text/javascript" })), connect = AudioNode.prototype.connect;
  window.tape = []; window.starts = []; window.fades = []; window.inputs = [];
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to === this.context.destination) {
      window.context = this.context;
      this.context.audioWorklet.addModule(address).then(() => {
        const recorder = new AudioWorkletNode(this.context, "record");
        recorder.port.onmessage = ({ data: [frame, block] }) => { window.tape.push([frame, Array.from(block)]); };
        connect.call(this, recorder);
        window.recording = true;
      });
    }
    return connect.call(this, to, ...rest);
  };
  const { start } = AudioBufferSourceNode.prototype, ramp = AudioParam.prototype.linearRampToValueAtTime, set = AudioParam.prototype.setValueAtTime;
  AudioBufferSourceNode.prototype.start = function (when, offset) {
    window.starts.push({ at: performance.now(), ahead: (when - this.context.currentTime) * 1000, when, offset, rms: sonimatch.rms(this.buffer.getChannelData(0)) });
    return start.call(this, when, offset);
  };
  AudioParam.prototype.setValueAtTime = function (value, from) { this.from = from; return set.call(this, value, from); };
  AudioParam.prototype.linearRampToValueAtTime = function (value, until) { window.fades.push((until - this.from) * 1000); return ramp.call(this, value, until); };
  document.addEventListener("input", () => window.inputs.push(performance.now()), true);
}"""


@pytest.fixture(scope="module")
def report():
    rows: list[tuple[str, ...]] = []
    yield rows
    head = ["synth", "updates a second", "crossfade (ms)", "from the hand to the sound (ms, median)", "at most"]
    lines = ["| " + " | ".join(row) + " |\n" for row in [tuple(head), ("---",) * 5, *sorted(rows)]]
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("".join(lines), encoding="utf-8")


def listen(there, button="play", loop=True):
    """Record, and start a sound."""
    there.evaluate(RECORD)
    if loop:
        there.get_by_label("loop").check()
    there.get_by_role("button", name=button).first.click()
    there.wait_for_function("window.recording && sonimatch.sound.playing !== null")


def tape(there):
    """What was put out so far, `[samples]`, from the first sample that is not zero, and the frame of that."""
    blocks = there.evaluate("window.tape")
    for (frame, block), (following, _) in zip(blocks, blocks[1:], strict=False):
        assert following == frame + len(block), "the recorder is called for every block"
    samples = np.concatenate([block for _, block in blocks])
    first = int(np.flatnonzero(samples)[0])
    return samples[first:], blocks[0][0] + first


def drag(there, label, seconds, low=0.5, high=0.9):
    """Move a slider by mouse, on and on."""
    box = there.get_by_label(label, exact=True).bounding_box()
    there.mouse.move(box["x"] + low * box["width"], box["y"] + box["height"] / 2)
    there.mouse.down()
    begun = time.monotonic()
    while (spent := time.monotonic() - begun) < seconds:
        place = low + (high - low) * abs((spent / seconds * 4) % 2 - 1)
        there.mouse.move(box["x"] + place * box["width"], box["y"] + box["height"] / 2)
        there.wait_for_timeout(8)
    there.mouse.up()
    return seconds


@pytest.mark.parametrize("synth", SYNTHS, ids=lambda synth: synth.name)
def test_the_sound_follows_the_hand(page, report, synth):
    there = page(SynthPlayer(synth))
    listen(there)
    there.evaluate("window.starts.length = window.fades.length = 0")
    seconds = drag(there, synth.space.names[0], 2)
    starts, fades, inputs = there.evaluate("[window.starts, window.fades, window.inputs]")
    assert len(starts) / seconds >= 10
    assert all(start["offset"] > 0 for start in starts), "it goes on where it is"
    whole = [now["when"] - before["when"] for before, now in zip(starts, starts[1:], strict=False)]
    moved = [now["offset"] - before["offset"] for before, now in zip(starts, starts[1:], strict=False)]
    np.testing.assert_allclose(np.subtract(whole, moved) % 1, np.round(np.subtract(whole, moved) % 1), atol=1e-4)
    assert 0 < max(fades) <= 30 + 1e-6
    ahead = [start["ahead"] for start in starts]
    assert min(ahead) > 0, "nothing is scheduled in the past"
    waits = [start["at"] + start["ahead"] - max(at for at in inputs if at <= start["at"]) for start in starts]
    late = f"{statistics.median(waits):.0f}", f"{max(waits):.0f}"
    report.append((synth.name, f"{len(starts) / seconds:.1f}", f"{max(fades):.0f}", *late))


def test_there_is_no_gap_while_it_follows(page):
    there = page(SynthPlayer(bp_noise, lp_cut=600))
    listen(there)
    drag(there, "lp_cut", 2)
    there.wait_for_timeout(200)
    assert there.evaluate("window.starts.length") > 20
    sound, _ = tape(there)
    windows = sound[: len(sound) // 441 * 441].reshape(-1, 441)
    level = np.sqrt((windows**2).mean(1))
    assert level.min() > 0.2 * np.median(level), "in every 10 ms; noise of 500 Hz and more is steady to a few decibels"


def test_the_same_sound_again_and_again_is_one_sound(page):
    """Crossfades at one position, whose gains add up to 1, leave a loop as it is, sample by sample."""
    there = page(SynthPlayer(bp_noise, lp_cut=600))
    listen(there)
    there.evaluate(f"""async () => {{
      for (let k = 0; k < 30; k++) {{ sonimatch.sound.change({ELEMENT}.sound()); await new Promise((next) => setTimeout(next, 20 + 5 * (k % 9))); }}
    }}""")
    first = there.evaluate("window.starts[0].when")
    sound, frame = tape(there)
    buffer = np.array(there.evaluate(f"Array.from({ELEMENT}.sound())"))
    gain = 0.7 / there.evaluate(f"{ELEMENT}.synth.loudest.peak") * 0.8  # and the volume
    at = (frame - round(first * 44_100) + np.arange(len(sound))) % len(buffer)
    assert len(sound) > 44_100
    assert there.evaluate("window.starts.length") > 25
    np.testing.assert_allclose(sound, gain * buffer[at], atol=1e-3 * gain * np.abs(buffer).max())


def test_what_is_louder_is_heard_as_louder(page):
    there = page(SynthPlayer(noise_am, amp=0.7, modulator=2))
    heard = []
    for amp in (0.7, 1.5, 5):
        there.evaluate(f"""() => {{
          const range = document.querySelector("[aria-label=amp]");
          range.value = {(amp - noise_am.space.low[0]) / (noise_am.space.high[0] - noise_am.space.low[0])} * range.max;
          range.dispatchEvent(new Event("input", {{ bubbles: true }}));
        }}""")
        there.wait_for_function(f"Math.abs(parseFloat({ELEMENT.removesuffix('.sonimatch')}.dataset.theta) - {(amp / 5):.4f}) < 0.01")
        if not heard:
            there.evaluate(RECORD)
        there.get_by_role("button", name="play").click()
        heard.append(there.evaluate("window.starts.at(-1).rms"))
        there.evaluate("sonimatch.sound.stop()")
    np.testing.assert_allclose(np.divide(heard, heard[0]), [1, 1.5 / 0.7, 5 / 0.7], rtol=0.02)


def test_the_loudest_setting_peaks_at_the_limit_and_nothing_is_clipped(page):
    target = {"amp": 5, "modulator": 2}
    there = page(SynthPlayer(noise_am, target=target), SynthPlayer(hp_noise, target=3 * np.ones(44_100)))
    for number, label in enumerate(("amp", "cut")):
        loudest = there.evaluate(f"[...document.querySelectorAll('div.sonimatch > div')][{number}].sonimatch.synth.loudest.peak")
        assert there.locator("div.sonimatch").nth(number).get_by_label(label, exact=True).count() == 1
        assert loudest == pytest.approx((noise_am.render_native(np.ones(2)).max(), 3)[number], rel=0.1)


def test_the_axes_stay(page):
    """Half the sound is half the wave in the picture, and 6 dB less in the spectra."""
    there = page(SynthPlayer(noise_am, amp=4, modulator=2, views=["waveform"]))
    inked = """() => {
      const canvas = document.querySelector("canvas"), { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 99 && data[i] < 60 && data[i + 2] > 120) count++;
      return count;
    }"""
    there.wait_for_timeout(200)
    loud = there.evaluate(inked)
    there.get_by_label("amp", exact=True).evaluate("each => { each.value = each.max * 0.4; each.dispatchEvent(new Event('input')); }")
    there.wait_for_timeout(200)
    assert 0.4 < there.evaluate(inked) / loud < 0.62


def test_the_loop_acts_at_once(page):
    there = page(SynthPlayer(bp_noise))
    listen(there, loop=False)
    there.get_by_label("loop").check()
    there.wait_for_timeout(1500)
    assert there.evaluate("sonimatch.sound.playing !== null"), "beyond its end"
    assert there.evaluate("window.starts.length") == 1, "in place"
    there.get_by_label("loop").uncheck()
    there.wait_for_function("sonimatch.sound.playing === null", timeout=3000)


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
    assert {*there.evaluate("[...document.querySelectorAll('canvas')].map(each => getComputedStyle(each).touchAction)")} == {"auto"}
    heights = there.evaluate("[...document.querySelectorAll('input[type=range]')].map(each => each.getBoundingClientRect().height)")
    assert min(heights) >= 24


def test_the_hash_is_folded(page):
    there = page(SynthPlayer(bp_noise))
    assert not there.get_by_text(bp_noise.source_sha256).is_visible()
    there.get_by_text("bp_noise.dsp").click()
    assert there.get_by_text(bp_noise.source_sha256).is_visible()
