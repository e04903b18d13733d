"""The metric of a feature and a synth, against stored matrices and finite differences, and what is kept on the disk."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sonimatch.faust import FaustSynth
from sonimatch.learn import DataError, Kept, eigen, metric, metrics, squared_length
from sonimatch.losses import L1_Spec
from sonimatch.scattering import JointScattering
from sonimatch.synths import arpeggiator, drum

STORED = np.load(Path(__file__).parent / "data" / "pnp_public.npz")
PHI = JointScattering(J=8, J_fr=3, F=8, T="global", epsilon=1e-3)
FULL = JointScattering(J=13, Q=(12, 1), J_fr=3, F=2, T="global", epsilon=1e-3)
CASES = {
    "arpeggiator/small/0": (arpeggiator, PHI),
    "drum/small/0": (drum, PHI),
    "arpeggiator/full/1": (arpeggiator, FULL),
}


def unit(nu):
    """Coordinates of the cube; those that are stored go from -1 to 1, so that `M` there is a quarter."""
    return (np.asarray(nu) + 1) / 2


@pytest.mark.parametrize("case", CASES)
def test_the_metric_is_the_stored_one(case):
    """float32 against float64: 7e-3 of the matrix, and 1.2e-2 of eigenvalues, have been seen elsewhere."""
    synth, feature = CASES[case]
    expected = STORED[f"{case}/M"]
    M = metric(feature, synth, unit(STORED[f"{case}/nu"])) / 4
    assert M.dtype == np.float32
    assert np.linalg.norm(M - expected) < 1e-2 * np.linalg.norm(expected)
    values, vectors = eigen(M)
    large = STORED[f"{case}/eig"] > 1e-3 * STORED[f"{case}/eig"][-1]
    np.testing.assert_allclose(values[large], STORED[f"{case}/eig"][large], rtol=2e-2)
    np.testing.assert_allclose(vectors * values @ vectors.T, M, atol=1e-5 * np.abs(M).max())


def test_the_quadratic_form_is_the_squared_distance_to_third_order():
    """Of the arpeggiator: the stored distances, and an error that falls eightfold where the step is halved."""
    nu, v = (STORED[f"arpeggiator/small/0/{name}"] for name in ("nu", "direction"))
    with jax.enable_x64(True):
        phi = jax.jit(lambda theta: PHI(arpeggiator(theta)).ravel())
        M, here = metric(PHI, arpeggiator, unit(nu)), phi(unit(nu))
        np.testing.assert_allclose(M / 4, STORED["arpeggiator/small/0/M"], rtol=3e-5)  # 5e-6 reached
        found = []
        for s in (0.1, 0.01, 0.001):
            found.append([((phi(unit(nu + s * v)) - here) ** 2).sum(), squared_length(M, s * v / 2)])
        np.testing.assert_allclose(found, STORED["arpeggiator/small/0/quad"], rtol=1e-4)
        steps = 0.005 / 2 ** np.arange(3)
        error = [((phi(unit(nu + s * v)) - here) ** 2).sum() - squared_length(M, s * v / 2) for s in steps]
        np.testing.assert_allclose(np.divide(error[:-1], error[1:]), 8, rtol=0.05)


def test_the_drum_is_as_its_metric_says_only_nearby():
    """The stored squared distances beside what the metric makes of the same steps."""
    nu, v, quad = (STORED[f"drum/small/0/{name}"] for name in ("nu", "direction", "quad"))
    M = metric(PHI, drum, unit(nu))
    np.testing.assert_allclose([squared_length(M, s * v / 2) for s in (0.1, 0.01, 0.001)], quad[:, 1], rtol=1e-2)
    squared, form = quad.T
    assert (squared / form)[0] < 0.1, "at a tenth of the range"


# ------------------------------------------------------------------------------------------------- kept on the disk


@dataclass(frozen=True)
class Slow:
    """A feature that is quick to compile, and takes its time."""

    seconds: float = 0.0

    def __call__(self, audio):
        return jnp.abs(jnp.fft.rfft(audio)[:64])


def points(n, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 0.9, (n, 3)).astype(np.float32)


def test_many_points_are_one_by_one_and_kept(tmp_path):
    theta = points(5)
    one_by_one = np.stack([metric(Slow(), arpeggiator, point) for point in theta])
    np.testing.assert_allclose(metric(Slow(), arpeggiator, theta), one_by_one, rtol=1e-4)
    kept = metrics(Slow(), arpeggiator, theta, tmp_path / "M", chunk=2, progress=False)
    np.testing.assert_allclose(kept, one_by_one, rtol=1e-4)
    files = {path.name: path.read_bytes() for path in (tmp_path / "M").iterdir()}
    assert len(files) == 4
    np.testing.assert_array_equal(metrics(Slow(), arpeggiator, theta, tmp_path / "M", chunk=2), kept)
    for other in (
        {"theta": points(5, seed=1)},
        {"feature": Slow(1.0)},
        {"synth": drum, "theta": np.tile(theta, 2)[:, :5]},
    ):
        asked = {"feature": Slow(), "synth": arpeggiator, "theta": theta} | other
        with pytest.raises(DataError, match=f"other settings: {'synth' if 'synth' in other else next(iter(other))}"):
            metrics(**asked, folder=tmp_path / "M", chunk=2)
    assert {path.name: path.read_bytes() for path in (tmp_path / "M").iterdir()} == files


def rows(some):
    return {"square": some**2, "name": np.array([f"row {i}" for i in some])}


def keep(folder, make):
    Kept(folder, {"what": "squares"}, 40, chunk=3).compute(make, progress=False)


SLOWLY = """
import sys, time
sys.path.insert(0, sys.argv[2])
from test_metric import keep, rows
keep(sys.argv[1], lambda some: time.sleep(0.1) or rows(some))
"""


@pytest.mark.parametrize("after", [0, 5])
def test_what_is_killed_goes_on_and_ends_with_the_same_bytes(tmp_path, after):
    """Killed at once, and when so many of the 14 chunks are there."""
    keep(tmp_path / "whole", rows)
    process = subprocess.Popen([sys.executable, "-c", SLOWLY, tmp_path / "killed", Path(__file__).parent])
    while len([*(tmp_path / "killed").glob("*.npz")]) < after:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    made = len([*(tmp_path / "killed").glob("*.npz")])
    asked = []
    keep(tmp_path / "killed", lambda some: asked.append(some[0]) or rows(some))
    assert (made >= after, len(asked)) == (True, 14 - made), "what was there is not computed again"
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "killed" / path.name).read_bytes() == path.read_bytes()


def test_what_is_damaged_is_computed_again(tmp_path):
    keep(tmp_path, rows)
    first, second, third, *_ = sorted(tmp_path.glob("*.npz"))
    first.write_bytes(first.read_bytes()[:-40])
    bytes_ = bytearray(second.read_bytes())
    bytes_[len(bytes_) // 2] ^= 1
    second.write_bytes(bytes_)
    third.rename(third.with_name("00002-0123456789abcdef.npz"))
    kept = Kept(tmp_path, {"what": "squares"}, 40, chunk=3)
    assert kept.missing() == [0, 1, 2]
    with pytest.raises(DataError, match="no whole chunk 0 of 14"):
        kept["square"]
    keep(tmp_path, rows)
    np.testing.assert_array_equal(kept["square"], np.arange(40) ** 2)
    assert kept["name"][39] == "row 39"
    assert len([*tmp_path.glob("*.npz")]) == 14


def test_what_cannot_be_kept_is_told(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="holds something else"):
        Kept(tmp_path, {}, 3).missing()
    with pytest.raises(DataError, match="holds something else"):
        Kept(tmp_path / "notes.txt", {}, 3).missing()
    with pytest.raises(ValueError, match="rows is 0"):
        Kept(tmp_path, {}, 0)
    with pytest.raises(ValueError, match=r"3 rows were asked for, and the arrays have \{'x': 1\}"):
        Kept(tmp_path / "short", {}, 3).compute(lambda some: {"x": some[:1]})


def test_a_metric_needs_a_derivative(tmp_path):
    with pytest.raises(ValueError, match=r"theta must have shape \(3,\) or \(n, 3\), not \(4,\)"):
        metric(PHI, arpeggiator, np.full(4, 0.5))
    with pytest.raises(ValueError, match="must be a frozen dataclass"):
        metrics(L1_Spec().feature, arpeggiator, points(2), tmp_path)
    steps = FaustSynth("steps", 'process = nentry("n", 1, 0, 4, 1) * 0.1;')
    with pytest.raises(ValueError, match="steps: n is quantised, and has no derivative"):
        metric(Slow(), steps, np.full(1, 0.5))
