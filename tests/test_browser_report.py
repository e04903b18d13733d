"""The report of a match in a browser, from the disk: sounds change places, files are whole, the player begins at the
answer."""

import json

import numpy as np
import pytest
import soundfile

from sonimatch.__main__ import main

TONE = """\
freq = hslider("freq [unit:Hz]", 400, 100, 1000, 1);
gain = hslider("gain", 0.5, 0.1, 1, 0.01);
process = (freq / 44100 : (+ : \\(x).(x - floor(x))) ~ _) * 2 - 1 : *(gain);
"""
SOUNDS, PLAYER = (
    f"document.querySelector('[data-element={name}] > div')" for name in ("SoundComparison", "SynthPlayer")
)
READY = "[...document.querySelectorAll('div.sonimatch')].every(each => 'ready' in each.dataset)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A match of a saw whose program has a name that HTML could take for its own."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "tone.dsp").write_text(TONE)
    assert main(["render", str(folder / "tone.dsp"), "freq=300", "gain=0.7", "-o", str(folder / "a&b.wav")]) == 0
    words = ["--synth", str(folder / "tone.dsp"), "--loss", "L1_Spec", "--evaluations", "40", "--candidates", "2"]
    words += ["-o", str(folder / "out")]
    assert main(["match", str(folder / "a&b.wav"), *words]) == 0
    return folder / "out"


@pytest.fixture
def report(visit, folder):
    def opened(width: int = 1000, dark: bool = False, fragment: str = ""):
        there = visit((folder / "report.html").as_uri() + fragment, width, dark)
        there.wait_for_function(READY)
        return there

    return opened


def test_it_says_what_the_record_says(report, folder):
    there, record = report(), json.loads((folder / "match.json").read_text())
    assert there.title() == "a&b.wav, matched by tone"
    assert f"{record['loss_at_best']:.4g}" in there.locator(".note").first.inner_text()
    cells = there.locator("h2:has-text('The answer') + .wide tbody tr").first.locator("td").all_inner_texts()
    value, span = record["parameters"]["freq"], record["intervals"]["freq"]
    low, high = (float(f"{span[end]:.4g}") for end in ("low", "high"))
    assert cells[:4] == ["freq", f"{value['value']:.4g}", "Hz", f"{low:g} to {high:g}"]
    assert there.locator("#program").text_content() == (folder / "match.dsp").read_text()
    theta = there.evaluate(f"{PLAYER}.sonimatch.theta()")
    physical = [100 + 900 * theta[0], 0.1 + 0.9 * theta[1]]
    np.testing.assert_allclose(physical, [each["value"] for each in record["parameters"].values()], rtol=1e-5)
    sound = np.array(there.evaluate(f"Array.from({PLAYER}.sonimatch.sound())"))
    np.testing.assert_allclose(sound, soundfile.read(folder / "match.wav")[0], atol=0.02)


def test_sounds_change_places_where_they_are(report, folder):
    there = report()
    assert there.evaluate("sonimatch.sound.playing") is None, "nothing sounds before somebody asks"
    panel = there.get_by_role("group", name="target and candidates")
    panel.get_by_role("button", name="▶ target").click()
    there.wait_for_function("sonimatch.sound.at > 0.1")
    before = there.evaluate("[sonimatch.sound.at, performance.now()]")
    panel.get_by_role("button", name="▶ tone, answer").click()
    at, now = there.evaluate("[sonimatch.sound.at, performance.now()]")
    passed = (now - before[1]) / 1000
    assert abs((at - before[0] - passed + 0.5) % 1 - 0.5) < 0.1, "a second long: the other goes on from there"
    assert panel.locator("button[aria-pressed=true]").inner_text() == "■ tone, answer"
    panel.focus()
    there.keyboard.press("2")
    assert there.evaluate(f"[{SOUNDS}.sonimatch.current(), {SOUNDS}.sonimatch.shown()]") == [2, 2]
    there.keyboard.press("0")
    assert there.evaluate(f"[{SOUNDS}.sonimatch.current(), {SOUNDS}.sonimatch.shown()]") == [0, 2]
    assert "tone, candidate 2 alone" in there.locator(".sonimatch-picture p").first.inner_text()
    there.keyboard.press("Space")
    there.wait_for_function("sonimatch.sound.playing === null")
    heard = [np.array(x) for x in there.evaluate(f"{SOUNDS}.sonimatch.heard().map(x => Array.from(x))")]
    levels = [np.sqrt(np.mean(x**2)) for x in heard]
    np.testing.assert_allclose(levels, levels[0], rtol=1e-3)
    assert max(np.abs(x).max() for x in heard) == pytest.approx(0.7, abs=1e-4)
    there.get_by_label("at one level").uncheck()
    target, match = (np.array(there.evaluate(f"Array.from({SOUNDS}.sonimatch.heard()[{i}])")) for i in (0, 1))
    files = [soundfile.read(folder / name)[0] for name in ("match-target.wav", "match.wav")]
    ratio = np.std(files[1]) / np.std(files[0])
    assert np.std(match) / np.std(target) == pytest.approx(ratio, rel=1e-3)
    there.get_by_label("side by side").check()
    assert there.locator(".sonimatch-picture:visible").count() == 2


def test_files_are_saved(report, folder, tmp_path):
    there = report()
    with there.expect_download() as saved:
        there.get_by_role("button", name="save tone, answer as match.wav").click()
    saved.value.save_as(tmp_path / "saved.wav")
    sound, rate = soundfile.read(tmp_path / "saved.wav")
    wanted, wanted_rate = soundfile.read(folder / "match.wav")
    assert rate == wanted_rate
    np.testing.assert_allclose(sound, wanted, atol=np.abs(wanted).max() / 60_000)
    with there.expect_download() as saved:
        there.get_by_role("button", name="save match.dsp").click()
    saved.value.save_as(tmp_path / "saved.dsp")
    assert (tmp_path / "saved.dsp").read_text() == (folder / "match.dsp").read_text()


def test_the_player_moves_and_a_candidate_opens_in_it(report, folder):
    there, record = report(), json.loads((folder / "match.json").read_text())
    numbers = there.locator("[data-element=SynthPlayer] .sonimatch-numbers")
    there.get_by_label("gain", exact=True).press("ArrowLeft")
    gain = record["parameters"]["gain"]["value"] - 0.009
    there.wait_for_function(f"Math.abs({PLAYER}.sonimatch.theta()[1] - {(gain - 0.1) / 0.9}) < 1e-3")
    assert f"gain {gain:.2f}"[:8] in numbers.inner_text()
    there.get_by_role("link", name="candidate 2").click()
    there.wait_for_function(f"{READY} && location.hash.includes('tone=')")
    freq = record["candidates"][1]["parameters"]["freq"]["value"]
    there.wait_for_function(f"Math.abs({PLAYER}.sonimatch.theta()[0] - {(freq - 100) / 900}) < 1e-3")


@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_can_be_read(report, width):
    from axe_playwright_python.sync_playwright import Axe

    for dark in (False, True):
        there = report(width, dark)
        assert there.evaluate("document.documentElement.scrollWidth") <= width
        assert there.evaluate("document.documentElement.dataset.theme") == ("dark" if dark else "light")
        found = Axe().run(there, options={"resultTypes": ["violations"], "preload": False}).response["violations"]
        assert [(each["id"], node["html"][:200]) for each in found for node in each["nodes"]] == []
