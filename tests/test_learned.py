"""Recipes, and the commands that train a network and ask it."""

import importlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import soundfile

from sonimatch import audio
from sonimatch.__main__ import main
from sonimatch.cli import train as command
from sonimatch.features import CQT
from sonimatch.learn import DataError
from sonimatch.learn import predict as asking
from sonimatch.learn import recipe as recipes
from sonimatch.learn.corpus import picture
from sonimatch.learn.encoder import compact
from sonimatch.learn.objective import DDSP, PNP, PLoss, RandomPaths
from sonimatch.learn.predict import load, predict
from sonimatch.learn.recipe import OBJECTIVES, RECIPES, MultiScale, Recipe
from sonimatch.learn.scores import multi_resolution
from sonimatch.losses import JTFS
from sonimatch.scattering import JointScattering
from sonimatch.synths import arpeggiator

SMALL = Recipe(
    "arpeggiator-small", replace(arpeggiator, num_samples=8192), "cpu", 3, CQT(8192, 128.0, 48, 12, 512),
    JointScattering(6, (2, 1), 2, T="global", epsilon=1e-3), compact, 2, 8, None, 1,
)  # fmt: skip


@pytest.fixture(scope="module")
def small():
    with pytest.MonkeyPatch.context() as patch:
        for module in (recipes, asking):
            patch.setattr(module, "RECIPES", (SMALL, *RECIPES))
        yield SMALL


@pytest.fixture(scope="module")
def run(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned")
    words = ["--synth", "arpeggiator", "--objective", "p-loss", "--data", f"{folder}/data", "-o", f"{folder}/run"]
    return folder, ["train", *words]


@pytest.fixture(scope="module")
def trained(run):
    folder, words = run
    assert main(words) == 0
    return folder / "run"


def test_the_command_names_what_there_is():
    assert {one.synth.name for one in RECIPES} == {*command.SYNTHS}
    assert {one.scale for one in RECIPES} == {*command.SCALES}
    assert OBJECTIVES == command.OBJECTIVES
    assert len({one.name for one in RECIPES}) == len(RECIPES) == len(command.SYNTHS) * len(command.SCALES)


def test_the_scale_of_the_paper_is_the_papers():
    """30³ and 10⁵ cells, 25,600 sounds in each of 70 epochs, of which the spectral loss takes 64 at a time."""
    for one in RECIPES:
        if one.scale == "paper":
            assert len(one.corpus) == (27_000 if one.synth.name == "arpeggiator" else 100_000)
            assert (one.epochs, one.batch * one.steps) == (70, 25_600)


def test_objectives_are_phases_in_order(small):
    rows = {"M": np.stack([np.diag([1.0, 2.0, 5.0]), np.eye(3)])}
    found = {name: small.phases(name, rows) for name in OBJECTIVES}
    assert {name: [type(phase.objective) for phase in phases] for name, phases in found.items()} == {
        "p-loss": [PLoss], "ddsp": [DDSP], "p-ddsp": [PLoss, DDSP], "pnp": [PNP], "p-pnp": [PLoss, PNP],
        "paths": [RandomPaths],
    }  # fmt: skip
    assert {sum(phase.epochs for phase in phases) for phases in found.values()} == {small.epochs}
    assert [found[name][-1].damping for name in ("pnp", "p-pnp")] == [5, 5]
    assert [found[name][-1].optimizer for name in ("pnp", "p-pnp")] == ["adam", "clipped"]
    assert [found[name][-1].steps for name in ("p-loss", "ddsp")] == [None, 1]
    with pytest.raises(ValueError, match="no objective 'mss'"):
        small.phases("mss", rows)
    with pytest.raises(ValueError, match=r"no scale 'gpu' to train for \(there are: cpu, paper\)"):
        recipes.recipe("drum", "gpu")


def test_a_metric_is_by_coordinates_from_minus_one_to_one(small, tmp_path, monkeypatch):
    """A quarter of that of the cube; 0 where it is not finite, and for the test set."""
    asked = []

    def metrics(feature, synth, theta, folder, *, progress):
        asked.append(len(theta))
        return np.where(np.arange(len(theta))[:, None, None] == 1, np.nan, 4.0 * np.eye(3))

    monkeypatch.setattr(recipes, "metrics", metrics)
    rows, test = small.rows("pnp", tmp_path, progress=False), small.corpus.parts["test"]
    assert asked == [27 - len(test)]
    expected = np.where(np.isin(np.arange(27), [1, *test])[:, None, None], 0, np.eye(3))
    np.testing.assert_array_equal(rows["M"], expected)
    np.testing.assert_allclose((rows["nu"] + 1) / 2, small.corpus.theta, atol=1e-6)


@pytest.fixture(scope="module")
def learned():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[1] / "results")
        yield importlib.import_module("learned")


@pytest.mark.parametrize("without", ["min-max", "logarithm", "joint scattering"])
def test_a_metric_goes_over_to_other_coordinates(small, learned, tmp_path, without):
    """Its quadratic form of a small step is the squared distance of two sounds, within a tenth."""
    made = learned.Ablated(**vars(small), without=without)
    theta = small.corpus.theta[:-2].astype(float)
    nu = np.asarray(made.coordinates(theta))
    np.testing.assert_allclose(made.points(nu), theta, atol=1e-6)
    rows, (feature, _) = made.rows("p-pnp", tmp_path, progress=False), made.heard

    def heard(point):
        found = feature(small.synth(point.astype(np.float32)))
        return np.concatenate([np.ravel(each) for each in jax.tree.leaves(found)])

    for n in (3, 8):
        step = 3e-4 * (nu.max(0) - nu.min(0)) * np.array([1, -1, 1])
        ends = made.points(nu[n] + step)[None], made.points(nu[n] - step)[None]
        squared = ((heard(ends[0][0]) - heard(ends[1][0])) ** 2).sum() / 4
        assert step @ rows["M"][n] @ step == pytest.approx(squared, rel=0.1)


def test_an_ablation_changes_one_thing(small, learned):
    rows = {"M": np.eye(3)[None]}
    first, second = small.phases("p-pnp", rows)
    changed = {
        "pretraining": (replace(second, epochs=small.epochs),), "clipping": (first, replace(second, optimizer="adam")),
        "relaxing": (first, replace(second, relaxed=1.0)),
    }  # fmt: skip
    for without in learned.WITHOUT:
        made = learned.Ablated(**vars(small), without=without)
        assert made.phases("p-pnp", rows) == changed.get(without, (first, second))
        same = np.array_equal(made.coordinates(np.full((1, 3), 0.25)), [[-0.5] * 3])
        assert same == (without not in ("min-max", "logarithm"))
        assert (made.heard == small.heard) == (without != "joint scattering")


def test_a_run_is_scored_on_sounds_it_never_saw(trained, run, small):
    model, found = load(trained)
    assert found is small
    rows, test = small.rows("p-loss", run[0] / "data"), small.corpus.parts["test"]
    scored, theta = small.scored(model, rows, test), small.corpus.theta[test]
    told = json.loads((trained / "scores.json").read_text())
    assert told["sounds"] == len(test)
    for n, true in enumerate(theta):
        sounds = small.synth(true), small.synth(predict(model, small, small.synth(true)))
        step = 2 * (predict(model, small, sounds[0]) - true)
        assert scored.p_loss[n] == pytest.approx((step**2).sum(), rel=1e-2)  # pictures are kept in half precision
        distance = float(jnp.linalg.norm(small.phi(sounds[0]) - small.phi(sounds[1])))
        assert scored.jtfs[n] == pytest.approx(distance, rel=1e-2)
    assert told["p_loss"] == pytest.approx(scored.p_loss.mean(), rel=1e-4)
    watched = small.scored(model, rows, small.corpus.parts["validation"])
    best = min(json.loads((trained / "history.json").read_text()), key=lambda entry: entry["validation"])
    assert best["p_loss"] == pytest.approx(watched.p_loss.mean(), rel=1e-4)
    for name in ("jtfs", "mss"):
        assert best[name] == pytest.approx(getattr(watched, name).mean(), rel=1e-3)


def test_the_multi_resolution_distance_is_its_formula(rng):
    target, candidate = rng.normal(size=(2, 3000))
    total = 0
    for window, hop, fft in ((600, 120, 1024), (1200, 240, 2048), (240, 50, 512)):
        spectra = []
        for sound in (target, candidate):
            padded = np.pad(sound, window // 2, mode="reflect")
            frames = [padded[n : n + window] * np.hanning(window) for n in range(0, len(padded) - window + 1, hop)]
            spectra.append(np.abs([np.fft.rfft(frame, fft) for frame in frames]))
        a, b = spectra
        total += np.linalg.norm(a - b) / np.linalg.norm(a) + np.abs(np.log(a / b)).mean()
    assert multi_resolution(jnp.asarray(target, jnp.float32), jnp.asarray(candidate, jnp.float32)) == pytest.approx(
        total / 3, rel=1e-3
    )


def test_random_paths_estimate_the_distance_and_their_key_comes_with_the_rows(small):
    """The mean of 400 draws, within four of its standard errors; a step in the last bits draws anew."""
    phi, synth = JointScattering(6, (1, 1), 1, T="global"), small.synth
    nu = np.asarray([[0.1, -0.3, 0.2], [-0.4, 0.2, 0.5]], np.float32)
    guess = jnp.asarray(nu + 0.1)
    objective = RandomPaths(synth, JTFS(transform=phi, order=2, paths=3))
    value = jax.jit(lambda nu: objective(lambda _: guess, {"picture": nu, "nu": nu}))
    features = [jax.jit(lambda nu: phi(synth((nu + 1) / 2)))(point) for point in (*guess, *nu)]
    expected = np.mean([((a - b) ** 2).sum() for a, b in zip(features[:2], features[2:], strict=True)])
    drawn = np.asarray([value(nu + np.float32(1e-7) * n) for n in range(400)])
    assert value(nu) == value(nu)
    assert len({float(one) for one in drawn}) > 50
    assert abs(drawn.mean() - expected) < 4 * drawn.std() / 20


def test_the_spectral_feature_has_six_scales():
    shapes = [S.shape for S in MultiScale()(jnp.ones(4096))]
    assert shapes == [(1 + 4096 // (n // 4), n // 2 + 1) for n in (32, 64, 128, 256, 512, 1024)]


# ------------------------------------------------------------------------------------------------- commands


def test_predict_writes_what_the_network_guesses(trained, small, tmp_path, capsys):
    theta = np.asarray([0.3, 0.6, 0.5], np.float32)
    sound = np.asarray(small.synth(theta))
    soundfile.write(tmp_path / "chirp.wav", np.stack([sound, sound], 1), 8192, subtype="FLOAT")
    assert main(["predict", str(trained), str(tmp_path / "chirp.wav"), "-o", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    told = json.loads((tmp_path / "out" / "predict.json").read_text())
    model, _ = load(trained)
    np.testing.assert_allclose(told["theta"], predict(model, small, sound / np.abs(sound).max()), atol=1e-5)
    assert [*told["parameters"]] == [*small.synth.space.names]
    assert "mixed 2 channels to mono" in shown
    assert f"nearer than {told['random_settings']['further']} of 64 random settings" in shown
    written, rate = soundfile.read(tmp_path / "out" / "predict.wav")
    assert (len(written), rate) == (8192, 8192)
    np.testing.assert_allclose(written, small.synth(np.asarray(told["theta"], np.float32)), atol=1e-4)
    kept, _ = soundfile.read(tmp_path / "out" / "predict-target.wav")
    np.testing.assert_allclose(kept, sound / np.abs(sound).max(), atol=1e-6)  # its soft start was not trimmed
    assert (tmp_path / "out" / "predict.png").stat().st_size > 10_000


def test_the_same_command_changes_nothing_and_another_is_refused(trained, run, fails):
    before = (trained / "history.json").read_bytes()
    assert main(run[1]) == 0
    assert (trained / "history.json").read_bytes() == before
    assert "other settings: seed; name another folder" in fails(*run[1], "--seed", 1)
    (run[0] / "mine").mkdir()
    (run[0] / "mine" / "letter.txt").write_text("mine")
    assert "holds something else" in fails(*run[1][:-1], run[0] / "mine")


def test_words_of_training_that_are_wrong(fails, tmp_path):
    for option, word, near in (
        ("--synth", "drun", "'drum'"), ("--objective", "pnb", "'pnp'"), ("--scale", "cup", "'cpu'")
    ):  # fmt: skip
        words = {"--synth": "drum", "--objective": "pnp", "--scale": "cpu"} | {option: word}
        error = fails("train", *(w for pair in words.items() for w in pair), "-o", tmp_path / "no")
        assert f"no {option[2:]} {word!r}; did you mean {near}?" in error
    assert not (tmp_path / "no").exists()


def test_a_network_that_is_none_is_told(trained, small, tmp_path, fails):
    sound = tmp_path / "sound.wav"
    audio.write(sound, np.sin(np.arange(8192.0)), 8192)

    def copy(name):
        shutil.copytree(trained, tmp_path / name)
        return tmp_path / name

    assert "has no settings.json" in fails("predict", tmp_path, sound, "-o", tmp_path / "out")
    other = copy("other")
    held = json.loads((other / "settings.json").read_text())
    (other / "settings.json").write_text(json.dumps(held | {"cells": 4}))
    assert "another version, which differs in: cells" in fails("predict", other, sound, "-o", tmp_path / "out")
    (other / "settings.json").write_text(json.dumps(held | {"name": "piano"}))
    assert "was made for 'piano'" in fails("predict", other, sound, "-o", tmp_path / "out")
    (other / "settings.json").write_text("[]")
    with pytest.raises(DataError, match="of something else"):
        load(other)
    short = copy("short")
    files = [path for path in (short / "best").rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])
    assert f"is damaged: {largest.relative_to(short / 'best').as_posix()}" in fails(
        "predict", short, sound, "-o", tmp_path / "out"
    )
    shutil.rmtree(short / "best")
    assert "no checkpoint yet" in fails("predict", short, sound, "-o", tmp_path / "out")


def test_a_sound_that_cannot_be_asked_about_is_told(trained, tmp_path, fails):
    silent, short = tmp_path / "silent.wav", tmp_path / "short.wav"
    soundfile.write(silent, np.zeros(8192), 8192)
    soundfile.write(short, np.ones(20), 8192)
    assert "silent" in fails("predict", trained, silent, "-o", tmp_path)
    assert "the sound lasts" in fails("predict", trained, short, "-o", tmp_path)
    assert "missing.wav" in fails("predict", trained, tmp_path / "missing.wav", "-o", tmp_path)
    model, found = load(trained)
    with pytest.raises(ValueError, match="arpeggiator has 8192 samples"):
        predict(model, found, np.zeros(100))
    assert picture(found.picture, jnp.zeros(8192)).shape == (16, 48)
