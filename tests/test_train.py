"""The training loop on a small problem: what a step is, what is kept, and the same result after a kill."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from sonimatch.features import CQT
from sonimatch.learn import DataError
from sonimatch.learn.corpus import Corpus, picture
from sonimatch.learn.objective import DDSP, PNP, PLoss
from sonimatch.learn.train import Phase, train
from sonimatch.synths import arpeggiator

ROWS, PARTS = 60, {"training": np.arange(48), "validation": np.arange(48, 60)}


class Line(nnx.Module):
    """Two parameters from a picture of 3 × 2, with all that a checkpoint has to keep: statistics and dropout."""

    def __init__(self, rngs):
        self.norm, self.drop = nnx.BatchNorm(6, rngs=rngs), nnx.Dropout(0.2, rngs=rngs)
        self.layer = nnx.Linear(6, 2, rngs=rngs)

    def __call__(self, x):
        return jnp.tanh(self.layer(self.drop(self.norm(x.reshape(len(x), 6)))))


def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 3, 2)).astype(np.float32)
    J = rng.normal(size=(ROWS, 4, 2))
    nu = np.tanh(x.reshape(ROWS, 6) @ rng.normal(size=(6, 2)) / 4)
    return {"picture": x, "nu": nu.astype(np.float32), "M": (J.swapaxes(1, 2) @ J).astype(np.float32)}


PHASES = (Phase(PLoss(), 4, rate=0.03), Phase(PNP(), 3, "clipped", rate=0.01, damping=20.0))


def run(folder, phases=PHASES, **settings):
    return train(Line, phases, rows(), PARTS, folder, settings={"what": "line"}, batch=16, progress=False, **settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train") / "whole"
    model, history = run(folder)
    return folder, model, history


def weights(model):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model, nnx.Not(nnx.RngState)))]


def test_it_learns_and_says_how(whole):
    _, model, history = whole
    assert [entry["epoch"] for entry in history] == [*range(1, 8)]
    assert [entry["phase"] for entry in history] == [0] * 4 + [1] * 3
    assert history[3]["validation"] < history[0]["validation"]
    assert (history[3]["damping"], history[4]["damping_used"]) == (0, 20)
    best = min(history[4:], key=lambda entry: entry["validation"])
    data = {name: array[PARTS["validation"]] for name, array in rows().items()}
    model.eval()
    assert float(PNP()(model, data)) == pytest.approx(best["validation"], rel=1e-5)


def test_damping_falls_with_the_loss_and_the_rate_after_three_epochs_without(tmp_path):
    history = run(tmp_path, (Phase(PLoss(), 12, rate=1.0, damping=8.0),))[1]
    lowest, waited, rate, damping = np.inf, 0, 1.0, 8.0
    for entry in history:
        assert (entry["rate_used"], entry["damping_used"]) == (pytest.approx(rate), pytest.approx(damping))
        if entry["validation"] < lowest:
            lowest, waited, damping = entry["validation"], 0, 0.2 * damping
        else:
            waited += 1
        if waited == 3:
            waited, rate = 0, 0.1 * rate
    assert rate < 1, "there was an epoch to wait for"


def test_a_phase_that_is_not_finite_is_not_hidden_by_the_one_before(tmp_path):
    nowhere = Phase(lambda model, rows, damping=0.0: jnp.nan * PLoss()(model, rows), 1)
    model, history = run(tmp_path, (Phase(PLoss(), 1), nowhere))
    assert np.isfinite(history[0]["validation"])
    assert np.isnan(history[1]["validation"])
    assert any(np.isnan(leaf).any() for leaf in weights(model))


SLOWLY = """
import sys
sys.path.insert(0, sys.argv[2])
import test_train
test_train.run(sys.argv[1])
"""


def test_what_is_killed_goes_on_and_ends_alike(whole, tmp_path):
    """To the last bit: the rest of the first phase, and the second."""
    folder = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", SLOWLY, folder, Path(__file__).parent])
    note = folder / "history.json"
    while not (note.is_file() and len(json.loads(note.read_text())) >= 3):
        assert process.poll() is None or len(json.loads(note.read_text())) == 7
        time.sleep(0.01)
    process.kill()
    process.wait()
    model, history = run(folder)
    assert history == whole[2]
    for one, other in zip(weights(model), weights(whole[1]), strict=True):
        np.testing.assert_array_equal(one, other)
    kept = ["00007", "best", "best.json", "history.json", "settings.json"]
    assert sorted(path.name for path in folder.iterdir()) == kept


def test_another_run_is_refused_and_a_damaged_checkpoint_told(whole, tmp_path):
    with pytest.raises(DataError, match="other settings: seed; name another folder"):
        run(whole[0], seed=1)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="holds something else"):
        run(tmp_path)
    short = tmp_path / "short"
    run(short, PHASES[:1])
    files = [path for path in (short / "00004" / "model").rglob("*") if path.is_file()]
    some = max(files, key=lambda path: path.stat().st_size)
    whole_bytes = some.read_bytes()
    some.write_bytes(whole_bytes[:-10])
    with pytest.raises(DataError, match=rf"00004/model is damaged: {some.name} is missing or not as it was"):
        run(short, PHASES)
    some.unlink()
    with pytest.raises(DataError, match="00004/model is damaged"):
        run(short, PHASES)
    some.write_bytes(whole_bytes)
    (short / "00004" / "model.json").unlink()
    with pytest.raises(DataError, match=r"holds no checkpoint: the list of its files, model.json, is missing"):
        run(short, PHASES)


def test_a_clipped_step_is_algorithm_1():
    """By hand: the momentum of the gradients, divided by 1e-15 and clipped, and weights that decay by a tenth."""
    optimizer = Phase(PLoss(), 1, "clipped", rate=0.5).transformation()
    w, m = np.array([1.0, -2.0, 0.0]), np.zeros(3)
    state = optimizer.init(jnp.asarray(w))
    for g in ([1e-3, 2.0, 0.0], [-4e-3, 1.0, 0.0]):
        update, state = optimizer.update(jnp.asarray(g), state, jnp.asarray(w))
        m = 0.965 * m + 0.035 * np.array(g)
        expected = w - 0.5 * 0.1 * w - 0.5 * np.clip(m / 1e-15, -0.04, 0.04)
        w = np.asarray(optax.apply_updates(jnp.asarray(w), update))
        np.testing.assert_allclose(w, expected, rtol=1e-6)


def test_objectives_are_their_formulas():
    @dataclass(frozen=True)
    class Tone:
        def __call__(self, theta):
            return jnp.sin(jnp.arange(5) * theta[0]) * theta[1]

    data = {name: jnp.asarray(array[:6]) for name, array in rows().items()}
    guess = np.asarray(data["nu"]) + np.linspace(-0.3, 0.3, 12).reshape(6, 2)
    d = guess - np.asarray(data["nu"])
    model = lambda _: jnp.asarray(guess)  # noqa: E731
    assert PLoss()(model, data) == pytest.approx((d**2).sum(1).mean(), rel=1e-5)
    form = [d_ @ (M + 3 * np.eye(2)) @ d_ for d_, M in zip(d, np.asarray(data["M"]), strict=True)]
    assert PNP()(model, data, 3.0) == pytest.approx(np.mean(form), rel=1e-5)
    sounds = [[np.sin(np.arange(5) * a) * b for a, b in (nu + 1) / 2] for nu in (guess, np.asarray(data["nu"]))]
    expected = np.mean(np.sum((np.abs(sounds[0]) - np.abs(sounds[1])) ** 2, axis=1))
    assert DDSP(Tone(), jnp.abs)(model, data) == pytest.approx(expected, rel=1e-4)


# ------------------------------------------------------------------------------------------------- the corpus


def test_a_corpus_has_one_sound_in_each_cell_and_three_parts(tmp_path):
    corpus = Corpus(arpeggiator, CQT(8192, 128, 72, 24, 256), cells=3)
    theta = corpus.theta
    assert len({tuple(cell) for cell in np.floor(3 * theta).astype(int)}) == 27
    assert sorted(np.concatenate([*corpus.parts.values()])) == [*range(27)]
    assert {name: len(part) for name, part in corpus.parts.items()} == {"training": 23, "validation": 2, "test": 2}
    pictures = corpus.pictures(tmp_path / "pictures", chunk=10, progress=False)
    assert (pictures.shape, pictures.dtype) == ((27, 128, 72), np.float16)
    expected = picture(corpus.picture, arpeggiator(theta[17]))
    np.testing.assert_allclose(pictures[17], expected, atol=5e-3)
    np.testing.assert_array_equal(corpus.pictures(tmp_path / "pictures", chunk=10), pictures)


def test_settings_that_make_no_corpus_and_no_phase_are_told():
    with pytest.raises(ValueError, match="cells is 2 along each of 3 parameters"):
        Corpus(arpeggiator, CQT(8192, 128, 72, 24, 256), cells=2)
    with pytest.raises(ValueError, match="arpeggiator has 8192 Hz, its picture 22050 Hz"):
        Corpus(arpeggiator, CQT(22_050), cells=3)
    for setting, words in (({"epochs": 0}, "epochs is 0"), ({"epochs": 1, "optimizer": "sgd"}, "'adam' or 'clipped'")):
        with pytest.raises(ValueError, match=words):
            Phase(PLoss(), **setting)
