"""The command line: what each command writes, and how each error is told."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from sonimatch import LOSSES, PAPER_LOSSES, PNP_SYNTHS, SYNTHS, FaustSynth
from sonimatch.__main__ import main

TONE = """\
freq = hslider("freq [unit:Hz]", 400, 100, 1000, 1);
gain = hslider("gain", 0.5, 0.1, 1, 0.01);
process = (freq / 44100 : (+ : \\(x).(x - floor(x))) ~ _) * 2 - 1 : *(gain);
"""
RATE = 44_100


@pytest.fixture
def tone(tmp_path):
    """A Faust program that compiles quickly."""
    path = tmp_path / "tone.dsp"
    path.write_text(TONE)
    return str(path)


@pytest.fixture
def target(tmp_path):
    """A recording: 0.6 s in stereo at 22050 Hz."""
    path = tmp_path / "target.wav"
    sound = 0.5 * np.sin(2 * np.pi * 300 * np.arange(13_230) / 22_050)
    soundfile.write(path, np.stack([sound, sound], 1), 22_050, subtype="FLOAT")
    return str(path)


def strict(text) -> dict:
    """What strict JSON says, in a file or as it is."""

    def refuse(name):
        raise AssertionError(f"{name} is not strict JSON")

    return json.loads(text if isinstance(text, str) else text.read_text(), parse_constant=refuse)


# ------------------------------------------------------------------------------------------------- success


def test_list_shows_everything(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for synth in (*SYNTHS, *PNP_SYNTHS):
        assert any(line.split()[:1] == [synth.name] for line in lines)
        for name in synth.space.names:
            assert any(line.split()[:1] == [name] for line in lines)
    for loss in LOSSES:
        assert f"  {loss.name}" in lines
    assert "  RMSProp" in lines
    assert "    lp_cut       50 to 1000 Hz        linear, default 900" in lines


def test_render_writes_the_sound(tmp_path, capsys, tone):
    assert main(["render", tone, "-o", str(tmp_path / "default.wav")]) == 0
    assert "tone, freq = 400 Hz, gain = 0.5; 1 s at 44100 Hz" in capsys.readouterr().out
    assert main(["render", tone, "freq=200", "-o", str(tmp_path / "low.wav"), "gain=0.25"]) == 0
    assert "freq = 200 Hz, gain = 0.25" in capsys.readouterr().out
    for name, freq, level in (("default", 400, 0.5), ("low", 200, 0.25)):
        assert soundfile.info(tmp_path / f"{name}.wav").subtype == "FLOAT"
        sound, rate = soundfile.read(tmp_path / f"{name}.wav")
        assert (sound.shape, rate) == ((RATE,), RATE)
        assert np.abs(sound).max() == pytest.approx(level, rel=0.02)
        assert np.abs(np.fft.rfft(sound))[1:].argmax() + 1 == pytest.approx(freq, abs=1)


def test_render_knows_the_names(tmp_path):
    assert main(["render", "hp_noise", "cut=3000", "-o", str(tmp_path / "noise.wav")]) == 0
    assert soundfile.read(tmp_path / "noise.wav")[0].shape == (RATE,)


@pytest.mark.told_start
def test_match_writes_its_files_and_tells_what_it_did(tmp_path, capsys, tone, target):
    words = ["match", target, "--synth", tone, "--loss", "L1_Spec", "--steps", "3", "--starts", "2", "--seed", "5"]
    assert main([*words, "-o", str(tmp_path / "out" / "deep")]) == 0
    out = capsys.readouterr().out
    folder = tmp_path / "out" / "deep"
    names = {"match.json", "match.png", "match.wav", "match.dsp", "match-target.wav", "report.html"}
    assert names <= {path.name for path in folder.iterdir()}
    assert (folder / "match.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"

    record = strict(folder / "match.json")
    assert record["ok"] is (not record["objections"])
    assert record["synth"]["name"] == "tone"
    assert len(record["synth"]["source_sha256"]) == 64
    assert record["synth"]["space"]["names"] == ["freq", "gain"]
    assert record["loss"]["name"] == "L1_Spec"
    assert record["loss"]["stft"]["window_length"] == 600
    assert record["search"]["name"] == "Race"
    assert record["search"]["screen"] == 32
    assert (record["steps"], record["evaluations"], record["seed"]) == (3, 4, 5)
    assert record["target"]["file"] == target
    assert (record["target"]["seconds"], record["target"]["sample_rate"]) == (0.6, 22_050)
    assert [change.split()[0] for change in record["target"]["changes"]] == ["mixed", "resampled", "padded", "scaled"]
    assert {"python", "sonimatch", "jax", "numpy", "dawdreamer", "soundfile", "soxr"} <= record["versions"].keys()
    assert all(record["versions"].values())

    losses = record["loss_per_step"]
    assert len(losses) == 4
    assert record["loss_at_start"] == losses[0]
    assert record["loss_at_best"] == min(losses) == losses[record["step_of_best"]]
    assert len(record["starts"]) == 2
    assert record["loss_at_best"] == min(start["loss_at_best"] for start in record["starts"])
    assert record["starts"][record["start_kept"]]["loss_at_best"] == record["loss_at_best"]
    for point in [record["parameters"], *(start["parameters"] for start in record["starts"])]:
        assert 100 <= point["freq"]["value"] <= 1_000
        assert 0.1 <= point["gain"]["value"] <= 1
        assert (point["freq"]["unit"], point["gain"]["unit"]) == ("Hz", "")

    for change in record["target"]["changes"]:
        assert change in out
    assert f"freq = {record['parameters']['freq']['value']:.5g} Hz" in out
    assert f"{record['loss_at_best']:.6g} at the best" in out

    # match.wav is the sound of the parameters
    values = [f"{name}={entry['value']!r}" for name, entry in record["parameters"].items()]
    assert main(["render", tone, *values, "-o", str(tmp_path / "again.wav")]) == 0
    found, rate = soundfile.read(folder / "match.wav")
    assert rate == RATE
    np.testing.assert_allclose(found, soundfile.read(tmp_path / "again.wav")[0], atol=0.02)

    # the same seed: the same bytes; another seed: another start
    assert main([*words, "-o", str(tmp_path / "same")]) == 0
    for path in folder.iterdir():
        if path.name != "report.html":  # which says where it lies
            assert (tmp_path / "same" / path.name).read_bytes() == path.read_bytes()
    assert main([*words, "--seed", "6", "-o", str(tmp_path / "other")]) == 0
    assert strict(tmp_path / "other" / "match.json")["starts"] != record["starts"]


@pytest.fixture
def matched(tmp_path, tone, target):
    """The folder of a quick match."""
    words = ["--synth", tone, "--loss", "L1_Spec", "--evaluations", "60", "--candidates", "4"]
    assert main(["match", target, *words, "-o", str(tmp_path / "out")]) == 0
    return tmp_path / "out"


def test_a_match_leaves_candidates_intervals_and_a_preset(matched, tone, target):
    record = strict(matched / "match.json")
    assert record["files"] == sorted(path.name for path in matched.iterdir())
    points = [[one["parameters"][name]["value"] for name in ("freq", "gain")] for one in record["candidates"]]
    unit = (np.array(points) - [100, 0.1]) / [900, 0.9]
    gaps = np.abs(unit[:, None] - unit[None]).max(-1) + np.eye(len(unit))
    assert len(unit) == 4
    assert gaps.min() >= 0.0999, "a tenth of the range, in single precision"
    losses = [one["loss"] for one in record["candidates"]]
    assert losses[1:] == sorted(losses[1:])
    assert losses[0] == record["loss_at_best"] < record["intervals_within_loss"]
    np.testing.assert_allclose(record["theta"], unit[np.argmin(losses)], atol=1e-5)
    for name, value in record["parameters"].items():
        assert record["intervals"][name]["low"] <= value["value"] <= record["intervals"][name]["high"]
    preset = FaustSynth.from_faust(matched / "match.dsp")
    np.testing.assert_allclose(preset.space.default, points[0], rtol=1e-5)
    assert record["not_in_dsp"] == []
    sound, rate = soundfile.read(matched / "match-target.wav")
    assert (len(sound), rate, np.abs(sound).max()) == (RATE, RATE, 1)
    for number, (freq, gain) in enumerate(points[1:], 2):
        values = [f"freq={freq!r}", f"gain={gain!r}"]
        assert main(["render", tone, *values, "-o", str(matched / "again.wav")]) == 0
        found, again = (soundfile.read(matched / name)[0] for name in (f"match-{number}.wav", "again.wav"))
        np.testing.assert_allclose(np.abs(np.fft.rfft(found)), np.abs(np.fft.rfft(again)), atol=40)
    page = (matched / "report.html").read_text()
    assert "http" not in page.replace("http-equiv", ""), "it asks for nothing"
    assert len(page) < 1_500_000


def test_without_a_synth_all_are_ranked_and_a_failure_hides_none(tmp_path, capsys, monkeypatch, target):
    fine = FaustSynth("fine", TONE, num_samples=8_000)
    faint = 'process = hslider("gain", 1, 0, 1, 0.01) * 0.00001 : (+ ~ *(0 - 1));'
    deaf = FaustSynth("deaf", faint, num_samples=8_000)
    sick = FaustSynth("sick", 'process = log(0 - 1 - hslider("x", 0.5, 0, 1, 0.01)) + (+(1) ~ _);', num_samples=8_000)
    monkeypatch.setattr("sonimatch.synths.SYNTHS", (sick, deaf, fine))
    words = ["match", target, "--evaluations", "20", "--candidates", "1", "-o", str(tmp_path / "out")]
    assert main(words) == 0
    out, record = capsys.readouterr().out, strict(tmp_path / "out" / "match.json")
    assert "3 synths, Marginals, Race: 20 evaluations" in out
    assert [one["name"] for one in record["synths"]] == ["fine", "sick", "deaf"]
    assert (record["synth"]["name"], record["words"]["synth"], record["loss"]["name"]) == ("fine", "fine", "Marginals")
    assert record["synths"][0]["loss"] == record["loss_at_best"]
    assert "no finite sound was found" in out
    assert "the best sound found is silent" in out
    assert record["verdict"][0] in out
    page = (tmp_path / "out" / "report.html").read_text()
    for text in ("<td class=text>sick</td>", "no finite sound was found", "the best sound found is silent"):
        assert text in page


def test_a_match_goes_on_and_only_with_what_fits(tmp_path, capsys, matched, tone, target, fails):
    before, record = strict(matched / "match.json"), matched / "match.json"
    capsys.readouterr()
    assert main(["match", "--continue", str(record), "--evaluations", "30", "--candidates", "2"]) == 0
    out, now = capsys.readouterr().out, strict(record)
    assert "30 evaluations from the best point of the earlier match, seed 1" in out
    best = min(one["loss"] for one in before["candidates"])
    assert now["loss_at_start"] == pytest.approx(best, rel=1e-5)
    assert now["loss_at_best"] <= now["loss_at_start"]
    assert (now["evaluations_before"], now["evaluations"]) == (60, 30)
    assert not (matched / "match-3.wav").exists(), "what is of the earlier match alone is gone"
    assert record.is_file()
    go_on = ("match", "--continue", record)
    assert "--synth: --continue takes it from" in fails(*go_on, "--synth", tone)
    assert "--loss, --seconds: --continue takes it from" in fails(*go_on, "--loss", "L1_Spec", "--seconds", "1")
    assert "cannot be read: No such file" in fails("match", "--continue", tmp_path / "absent.json")
    for text in ("no json", "[]", '{"ok": true}'):
        (tmp_path / "other.json").write_text(text)
        assert "is no record of a match that can be continued" in fails("match", "--continue", tmp_path / "other.json")
    samples, rate = soundfile.read(target)
    soundfile.write(tmp_path / "louder.wav", 1.5 * samples, rate, subtype="FLOAT")
    assert "the target is another, sha256 was " in fails("match", tmp_path / "louder.wav", "--continue", record)
    text = (tmp_path / "tone.dsp").read_text()
    (tmp_path / "tone.dsp").write_text(text.replace("* 2 - 1", "* 2 - 0.9"))
    assert "does not fit: the synth is another, source_sha256 was " in fails(*go_on)
    (tmp_path / "tone.dsp").write_text(text)
    record.write_text(record.read_text().replace('"window_length": 600', '"window_length": 500'))
    assert "does not fit: the loss is another, stft was " in fails(*go_on)


def test_nothing_is_overwritten_that_is_of_no_match(tmp_path, fails, target, tone):
    (tmp_path / "out").mkdir()
    words = ("match", target, "--synth", tone, "--loss", "L1_Spec", "--steps", "0", "-o", tmp_path / "out")
    for name in ("report.html", "match.dsp", "match-2.wav"):
        (tmp_path / "out" / name).write_text("mine")
        assert f"{name} is there and is of no earlier match; choose another folder" in fails(*words)
        (tmp_path / "out" / name).unlink()
    own = tmp_path / "out" / "match.dsp"
    own.write_text(TONE)
    assert "match.dsp would be overwritten" in fails("match", target, "--synth", own, "-o", tmp_path / "out")
    assert own.read_text() == TONE


def test_no_steps_tell_the_start(tmp_path, tone, target):
    words = ["match", target, "--synth", tone, "--loss", "L1_Spec", "--steps", "0", "--keep-silence"]
    words += ["--search", "RMSProp", "--bounded"]
    assert main([*words, "-o", str(tmp_path / "out")]) == 0
    record = strict(tmp_path / "out" / "match.json")
    assert len(record["loss_per_step"]) == 1
    assert record["loss_at_best"] == record["loss_at_start"]
    assert record["parameters"] == record["starts"][0]["parameters"]
    assert record["search"]["bounded"] is True


def test_a_match_tells_whether_it_worked(tmp_path, capsys, tone):
    """A target of its own: from two starts the gain and the frequency are found, and 186 draws come less near."""
    assert main(["render", tone, "freq=300", "gain=1", "-o", str(tmp_path / "target.wav")]) == 0
    words = ["match", str(tmp_path / "target.wav"), "--synth", tone, "--loss", "L1_Spec", "--steps", "30"]
    words += ["--search", "RMSProp"]
    assert main([*words, "--starts", "2", "--bounded", "-o", str(tmp_path)]) == 0
    out, record = capsys.readouterr().out, strict(tmp_path / "match.json")
    assert record["random_draws"]["number"] == record["evaluations"] * 2 == 186
    assert f"{record['random_draws']['loss_at_best']:.6g} of the best of 186 random draws" in out
    assert f"{record['loss_of_silence']:.6g} of silence" in out
    assert record["ok"] is (
        record["loss_at_best"] < min(record["random_draws"]["loss_at_best"], record["loss_of_silence"])
    )
    assert ("no success: " in out) is (not record["ok"])
    ends = [name for name, low, high in (("freq", 109, 991), ("gain", 0.109, 0.991))
            if not low < record["parameters"][name]["value"] < high]  # fmt: skip
    assert record["at_end"] == ends
    assert (out.count("within 1 % of an end"), record["unmoved"], record["without_gradient"]) == (len(ends), [], [])


def test_what_has_no_gradient_is_told_and_no_success(tmp_path, capsys, target):
    table = tmp_path / "table.dsp"
    table.write_text('import("stdfaust.lib"); process = os.osc(20 * int(hslider("freq", 22, 5, 50, 0.5)));')
    words = ["match", target, "--synth", str(table), "--loss", "L1_Spec", "-o", str(tmp_path)]
    assert main([*words, "--search", "RMSProp", "--steps", "20"]) == 0
    out, record = capsys.readouterr().out, strict(tmp_path / "match.json")
    assert "no success: freq has no gradient for the search to follow; the best of 42 random draws is kept" in out
    assert "(never moved; no gradient)" in out
    assert record["ok"] is False
    assert record["without_gradient"] == ["freq"]
    assert record["search"] == {"name": "RandomSearch"}
    assert record["loss_at_best"] == record["random_draws"]["loss_at_best"] <= record["starts"][0]["loss_at_best"]
    assert record["parameters"] == record["random_draws"]["parameters"]
    assert record["start_kept"] is None
    assert main([*words, "--evaluations", "60"]) == 0  # no gradient is asked for
    out, record = capsys.readouterr().out, strict(tmp_path / "match.json")
    assert "table, L1_Spec, Race: 60 evaluations from 1 random start" in out
    assert (record["without_gradient"], record["evaluations"], len(record["loss_per_step"])) == ([], 60, 60)
    assert record["search"]["name"] == "Race"
    assert record["random_draws"]["number"] == 60


def test_a_constant_offset_spoils_no_match(tmp_path, capsys):
    """Noise filtered at 500 and 60 Hz is found within 2 % with 0.1 added to it, which is a third of its peak."""
    tone, offset = tmp_path / "tone.wav", tmp_path / "offset.wav"
    assert main(["render", "bp_noise", "lp_cut=500", "hp_cut=60", "-o", str(tone)]) == 0
    sound, rate = soundfile.read(tone)
    soundfile.write(offset, sound + 0.1, rate, subtype="FLOAT")
    words = ["--synth", "bp_noise", "--loss", "SIMSE_Spec", "-o", str(tmp_path)]
    assert main(["match", str(offset), *words]) == 0
    record = strict(tmp_path / "match.json")
    assert "removed a constant offset of 0.1" in capsys.readouterr().out
    assert record["ok"] is True
    assert record["parameters"]["lp_cut"]["value"] == pytest.approx(500, rel=0.02)
    assert record["parameters"]["hp_cut"]["value"] == pytest.approx(60, rel=0.02)


def test_match_takes_a_stretch_of_the_recording(tmp_path, capsys, tone, fails):
    long = tmp_path / "long.wav"
    sound = np.sin(2 * np.pi * np.cumsum(np.repeat([0, 200, 600], 2 * RATE)) / RATE)
    soundfile.write(long, np.stack([0.1 + 0.3 * sound] * 2, 1), RATE, subtype="FLOAT")
    words = ["match", long, "--synth", tone, "--loss", "L1_Spec", "--steps", "0", "-o", tmp_path / "out"]
    assert main([*map(str, words), "--from", "4.5", "--seconds", "0.75"]) == 0
    changes = strict(tmp_path / "out" / "match.json")["target"]["changes"]
    assert changes[0] == "taken from 4.5 s to 5.25 s, of 6 s"
    assert changes[2].startswith("removed a constant offset of 0.1")
    assert "padded with silence from 0.75 s to 1 s" in changes
    capsys.readouterr()
    assert "long.wav lasts 6 s; it has no stretch from 7 s on" in fails(*words, "--from", "7")
    assert "lasts 6 s; it has no stretch of 0 s from 2 s on" in fails(*words, "--from", "2", "--seconds", "0")
    for value in ("-1", "nan", "inf"):
        assert f"--from: {value} is out of range: 0 or more seconds" in fails(*words, f"--from={value}")
    assert "--seconds: 'one' is not a number of seconds" in fails(*words, "--seconds", "one")
    constant = tmp_path / "constant.wav"
    soundfile.write(constant, np.full(RATE, 0.25), RATE)
    assert "constant.wav: the sound is a constant, 0.25, and no sound" in fails("match", constant, *words[2:])


def test_a_match_that_fails_is_told(tmp_path, capsys, target):
    broken = tmp_path / "broken_inside.dsp"
    broken.write_text('process = log(0 - 1 - hslider("x", 0.5, 0, 1, 0.01)) + (+(1) ~ _);')
    out = tmp_path / "out"
    out.mkdir()
    (out / "match.wav").write_bytes(b"of an earlier match")
    words = ["match", target, "--synth", str(broken), "--loss", "L1_Spec", "--steps", "2", "-o", str(out)]
    assert main(words) == 1
    error = capsys.readouterr().err
    assert "no finite loss in 2 steps from 1 random start" in error
    assert "Traceback" not in error
    assert [path.name for path in out.iterdir()] == ["match.json"]
    record = strict(out / "match.json")
    assert record["ok"] is False
    assert record["parameters"] is None
    assert record["loss_per_step"] == [None] * 3
    assert record["starts"][0]["ok"] is False


def test_silence_is_told(tmp_path, capsys, target):
    faint = tmp_path / "faint.dsp"
    faint.write_text('process = hslider("gain", 1, 0, 1, 0.01) * 0.00001 : (+ ~ *(0 - 1));')
    assert main(["render", str(faint), "-o", str(tmp_path / "silent.wav")]) == 0
    assert capsys.readouterr().out.endswith("the sound is silent\n")
    words = ["match", target, "--synth", str(faint), "--loss", "L1_Spec", "--steps", "1", "-o", str(tmp_path / "out")]
    assert main(words) == 1
    assert capsys.readouterr().err.endswith("sonimatch: the best sound found is silent\n")
    record = strict(tmp_path / "out" / "match.json")
    assert record["ok"] is False
    assert record["parameters"]["gain"]["value"] >= 0
    assert (tmp_path / "out" / "match.wav").exists()


def test_landscape_writes_the_curve_of_one_loss(tmp_path, capsys, tone):
    words = ["landscape", "--synth", tone, "--loss", "L1_Spec", "--num", "5", "-o", str(tmp_path / "out")]
    assert main([*words, "--parameter", "gain", "--target", "gain=0.775", "freq=300"]) == 0
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["tone_gain_L1_Spec.csv", "tone_gain_L1_Spec.png"]
    assert (out / "tone_gain_L1_Spec.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    header, *rows = csv.reader((out / "tone_gain_L1_Spec.csv").read_text().splitlines())
    assert header == ["gain", "unit value", "loss", "gradient per unit value"]
    physical, unit, value, gradient = np.array(rows, float).T
    np.testing.assert_allclose(physical, [0.1, 0.325, 0.55, 0.775, 1], rtol=1e-6)
    np.testing.assert_allclose(unit, [0, 0.25, 0.5, 0.75, 1])
    assert value.argmin() == 3
    assert (gradient[:3] < 0).all()
    assert gradient[4] > 0
    assert "target: freq = 300 Hz, gain = 0.775" in capsys.readouterr().out


def test_landscape_of_the_losses_of_the_study(tmp_path, capsys):
    saw = tmp_path / "saw.dsp"
    saw.write_text(TONE.replace('hslider("gain", 0.5, 0.1, 1, 0.01)', "0.5"))
    assert main(["landscape", "--synth", str(saw), "--loss", "all", "--num", "5", "-o", str(tmp_path / "out")]) == 0
    expected = {f"saw_freq_{loss.name}.csv" for loss in PAPER_LOSSES} | {"saw_freq_all.png"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == expected
    out = capsys.readouterr().out
    for loss in PAPER_LOSSES:
        table = np.loadtxt(tmp_path / "out" / f"saw_freq_{loss.name}.csv", delimiter=",", skiprows=1)
        assert table.shape == (5, 4)
        assert np.isfinite(table).all()
        assert f"  {loss.name}: lowest " in out
    assert (tmp_path / "out" / "saw_freq_L1_Spec.csv").read_text().startswith("freq (Hz),")


# ------------------------------------------------------------------------------------------------- errors


def test_a_target_that_is_no_sound(tmp_path, fails):
    def refused(name: str, reason: str) -> None:
        error = fails("match", tmp_path / name, "--synth", "hp_noise", "--loss", "L1_Spec", "-o", tmp_path / "out")
        assert reason in error
        assert name in error
        assert not (tmp_path / "out").exists()

    refused("absent.wav", "No such file")
    (tmp_path / "folder.wav").mkdir()
    refused("folder.wav", "is a folder")
    (tmp_path / "empty.wav").touch()
    refused("empty.wav", "is empty")
    (tmp_path / "text.wav").write_text("no sound\n" * 99)
    refused("text.wav", "is not a sound file")
    sound = np.sin(np.arange(RATE) / 9)
    broken = sound.copy()
    broken[3] = np.nan
    for name, samples, reason in (
        ("zero.wav", sound[:0], "0 samples"),
        ("silence.wav", 0 * sound, "is silent"),
        ("nan.wav", broken, "1 of 44100 samples are not finite"),
        ("short.wav", sound[:441], "lasts 0.01 s"),
        ("cancel.wav", np.stack([sound, -sound], 1), "cancel each other"),
    ):
        soundfile.write(tmp_path / name, samples, RATE, subtype="FLOAT")
        refused(name, reason)


def test_unknown_names_tell_the_nearest(tmp_path, fails, target, tone):
    out = tmp_path / "out"
    error = fails("match", target, "--synth", "bp_niose", "--loss", "L1_Spec", "-o", out)
    assert "no synth 'bp_niose'; did you mean 'bp_noise'? (there are: bp_noise, " in error
    assert "did you mean 'SIMSE_Spec'?" in fails("match", target, "--synth", "bp_noise", "--loss", "simse_spec")
    error = fails("match", target, "--synth", "bp_noise", "--loss", "qqqq", "-o", out)
    assert "did you mean" not in error
    assert all(loss.name in error for loss in LOSSES)
    assert "no synth" in fails("render", "nothing_like_it", "-o", tmp_path / "x.wav")
    assert "did you mean 'lp_cut'?" in fails("render", "bp_noise", "lp_cutt=3", "-o", tmp_path / "x.wav")
    assert "did you mean 'all'?" in fails("landscape", "--synth", "hp_noise", "--loss", "al", "-o", out)
    error = fails("landscape", "--synth", tone, "--loss", "L1_Spec", "--parameter", "frq", "-o", out)
    assert "no parameter 'frq'; did you mean 'freq'? (there are: freq, gain)" in error
    error = fails("landscape", "--synth", tone, "--loss", "L1_Spec", "-o", out)
    assert "choose one with --parameter (freq, gain)" in error
    assert "'cutt'" in fails("landscape", "--synth", "hp_noise", "--loss", "all", "--target", "cutt=3", "-o", out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("lp_cut=2000", "lp_cut = 2000 is out of range: 50 to 1000 Hz"),
        ("lp_cut=-1", "out of range"),
        ("lp_cut=nan", "out of range"),
        ("lp_cut=inf", "out of range"),
        ("lp_cut=high", "'high' is not a number"),
        ("lp_cut=", "'' is not a number"),
        ("lp_cut", "'lp_cut' is not name=value"),
        ("=3", "'=3' is not name=value"),
    ],
)
def test_values_that_are_none(tmp_path, fails, word, reason):
    assert reason in fails("render", "bp_noise", word, "-o", tmp_path / "x.wav")
    assert reason in fails(
        "landscape", "--synth", "bp_noise", "--parameter", "hp_cut", "--loss", "all", "--target", word
    )
    assert not [*tmp_path.iterdir()]


def test_a_value_given_twice(tmp_path, fails):
    assert "lp_cut is given twice" in fails("render", "bp_noise", "lp_cut=100", "lp_cut=200", "-o", tmp_path / "x.wav")


STUDY = [["study", *name] for name in ([], ["run"], ["status"], ["report"], ["verify"], ["export"])]
LISTEN = [["listen", *name] for name in ([], ["build"], ["score"])]


@pytest.mark.parametrize(
    "command", [[], ["list"], ["check"], ["render"], ["match"], ["landscape"], *STUDY, *LISTEN], ids=" ".join
)
def test_help(capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith(" ".join(["usage: sonimatch", *command]))
    assert "examples:" in out


def test_words_that_do_not_parse(tmp_path, fails, target):
    match = ("match", target, "--synth", "bp_noise", "--loss", "L1_Spec", "-o", tmp_path / "out")
    assert "no search 'race'; did you mean 'Race'?" in fails(*match, "--search", "race")
    assert "--bounded: Race stays inside the ranges by itself" in fails(*match, "--bounded")
    assert "--evaluations: 0 is out of range" in fails(*match, "--evaluations", "0")
    assert "not allowed with argument" in fails(*match, "--evaluations", "9", "--steps", "3")
    assert "--steps: -1 is out of range" in fails(*match, "--steps", "-1")
    assert "--starts: 0 is out of range" in fails(*match, "--starts", "0")
    assert "--seed: -1 is out of range" in fails(*match, "--seed", "-1")
    assert "--steps: '1.5' is not a whole number" in fails(*match, "--steps", "1.5")
    assert "unrecognized arguments: --step5" in fails(*match, "--step5")
    assert "--num: 1 is out of range" in fails("landscape", "--synth", "hp_noise", "--loss", "all", "--num", "1")
    assert "TARGET is required" in fails("match")
    assert "--candidates: 0 is out of range" in fails(*match, "--candidates", "0")
    assert "-o" in fails("render", "bp_noise")
    assert "COMMAND" in fails()
    assert "COMMAND" in fails("study")
    assert "--trials: 0 is out of range" in fails("study", "run", "--trials", "0")
    assert "--per-pair: 0 is out of range" in fails("study", "verify", "x.npz", "--per-pair", "0")
    assert "--csv" in fails("study", "export", "x.npz")
    assert "RECORD.npz" in fails("study", "report")
    assert "invalid choice" in fails("rendr")
    assert not (tmp_path / "out").exists()


def test_output_that_cannot_be_written(tmp_path, fails, target):
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "out"
    reason = f"cannot write to the folder {below}"
    assert reason in fails("match", target, "--synth", "bp_noise", "--loss", "L1_Spec", "-o", below)
    assert reason in fails("landscape", "--synth", "hp_noise", "--loss", "all", "-o", below)
    assert reason in fails("render", "bp_noise", "-o", below / "x.wav")
    assert "cannot write to the folder" in fails("render", "bp_noise", "-o", tmp_path / "absent" / "x.wav")
    assert "must end in .wav" in fails("render", "bp_noise", "-o", tmp_path / "x.mp3")
    (tmp_path / "folder.wav").mkdir()
    assert "it is a folder" in fails("render", "bp_noise", "-o", tmp_path / "folder.wav")


def test_the_recording_is_not_overwritten(tmp_path, fails, target):
    recording = tmp_path / "match.wav"
    recording.write_bytes((tmp_path / "target.wav").read_bytes())
    error = fails("match", recording, "--synth", "bp_noise", "--loss", "L1_Spec", "--steps", "1", "-o", tmp_path)
    assert "would be overwritten" in error
    assert recording.read_bytes() == (tmp_path / "target.wav").read_bytes()


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ('process = hslider("x", 0, 0, 1, 0.1', "Faust says: "),
        ('process = hslider("x", 0, 0, 1, 0.1) <: _, _;', "this program has 0 and 2"),
        ('process = _ * hslider("x", 0, 0, 1, 0.1);', "this program has 1 and 1"),
        ("", "Faust says: "),
    ],
)
def test_programs_that_are_no_synthesizer(tmp_path, fails, target, program, reason):
    path = tmp_path / "broken.dsp"
    path.write_text(program)
    for words in (
        ("render", path, "-o", tmp_path / "x.wav"),
        ("match", target, "--synth", path, "--loss", "L1_Spec", "-o", tmp_path / "out"),
        ("landscape", "--synth", path, "--loss", "all", "-o", tmp_path / "out"),
    ):
        error = fails(*words)
        assert reason in error
        assert "broken" in error
    assert not (tmp_path / "x.wav").exists()


def test_check_tells_what_can_be_matched(tmp_path, capsys):
    path = tmp_path / "two.dsp"
    path.write_text(
        'import("stdfaust.lib"); process = no.noise * hslider("gain", 0.5, 0, 1, 0.01) * button("gate") '
        ': @(int(hslider("late", 3, 0, 9, 0.1)));'
    )
    assert main(["check", str(path), "gain=0.25", "late=4.4"]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 6  # one of the sound, three of the engines, two of the parameters
    assert "late  derivative stands still through a whole delay, a whole number" in out
    assert main(["check", str(path), "--switch", "gate=0", "--seconds", "0.01", "--json"]) == 0
    found = strict(capsys.readouterr().out)
    assert [engine["name"] for engine in found["engines"]] == ["native", "JAX", "WebAssembly"]
    assert {p["name"]: p["derivative"] for p in found["parameters"]} == {"gain": "not heard", "late": "not heard"}
    assert found["seconds"] == 0.01
    assert found["note"] == "the sound is silent here; it sounds with gate=1"


def test_a_program_without_a_parameter_is_rendered_and_not_matched(tmp_path, fails, target):
    path = tmp_path / "plain.dsp"
    path.write_text("process = 0.5;")
    assert main(["render", str(path), "-o", str(tmp_path / "x.wav")]) == 0
    assert "plain has no parameter to match" in fails(
        "match", target, "--synth", path, "--loss", "L1_Spec", "-o", tmp_path / "out"
    )
    assert "plain has no parameter, and so no landscape" in fails(
        "landscape", "--synth", path, "--loss", "all", "-o", tmp_path / "out"
    )


def test_programs_that_cannot_be_read(tmp_path, fails):
    assert "No such file" in fails("render", tmp_path / "absent.dsp", "-o", tmp_path / "x.wav")
    (tmp_path / "folder.dsp").mkdir()
    assert "cannot be read" in fails("render", tmp_path / "folder.dsp", "-o", tmp_path / "x.wav")
    (tmp_path / "bytes.dsp").write_bytes(b"\xff\xfe\x00")
    assert "not text" in fails("render", tmp_path / "bytes.dsp", "-o", tmp_path / "x.wav")


def test_what_fails_inside_has_status_1(tmp_path, capsys, monkeypatch, tone):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sonimatch.audio.write", full)
    assert main(["render", tone, "-o", str(tmp_path / "x.wav")]) == 1
    assert capsys.readouterr().err == "sonimatch: failed: OSError: [Errno 28] No space left on device\n"


# ------------------------------------------------------------------------------------------------- the process


def test_a_process_exits_with_the_status_and_no_traceback(tmp_path):
    words = [sys.executable, "-m", "sonimatch", "match", "absent.wav", "--synth", "bp_noise", "--loss", "L1_Spec"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "sonimatch: absent.wav cannot be read: No such file or directory\n"


def test_what_is_compiled_is_kept_for_the_next_process(tmp_path, tone):
    """Anything in the user's cache folder, unless a variable of the user's own names another."""
    words = [sys.executable, "-m", "sonimatch", "render", tone, "-o", "x.wav"]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}

    def run(cache: str, **more: str) -> set[str]:
        home = {name: str(tmp_path / cache) for name in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA")}
        subprocess.run(words, cwd=tmp_path, env=bare | home | more, check=True, capture_output=True)
        return {file.name for file in (tmp_path / cache).rglob("*-cache")}

    first = run("cache")
    assert first
    assert run("cache") == first
    mine = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "mine"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    assert run("other", **mine) == set()
    assert list((tmp_path / "mine").glob("*-cache"))
