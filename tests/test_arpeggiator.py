"""The arpeggiator against stored waveforms, a loop in plain Python, and its own Faust program."""

import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sonimatch import arpeggiator
from sonimatch.faust.synth import _audio_and_jacobian
from sonimatch.synths.arpeggiator import Arpeggiator
from sonimatch.types import Synth

with np.load(Path(__file__).parent / "data" / "synth_public.npz") as stored:
    STORED = {name.split("/")[1]: stored[name] for name in stored.files if name.startswith("arpeggiator/")}
SHORT = replace(arpeggiator, num_samples=4096)
CORNERS = np.array([*product((0.0, 1.0), repeat=3)], np.float32)


def distance(a, b):
    return np.linalg.norm(np.subtract(a, b)) / np.linalg.norm(b)


def double(synth, theta):
    with jax.enable_x64(True):
        return np.asarray(synth(jnp.asarray(theta, float)))


def looped(synth, theta):
    """The sound in plain Python, sample by sample, of the values that the synth takes at `theta`."""
    with jax.enable_x64(True):
        f_c, f_m, gamma = np.asarray(synth.space.exact(theta)).tolist()
    x = []
    for n in range(synth.num_samples):
        t = (n - synth.num_samples / 2) / synth.sample_rate
        phase = 2 * math.pi * f_c * (2 ** (gamma * t) - 1) / (gamma * math.log(2))
        x.append(math.sin(phase) * math.sin(2 * math.pi * f_m * t) * math.exp(-((gamma * t) ** 2) / (2 * 0.2**2)))
    return np.array(x)


@pytest.mark.parametrize("trial", range(3))
def test_the_sound_is_the_stored_one(trial):
    values = dict(zip(arpeggiator.space.names, STORED["theta"][trial].tolist(), strict=True))
    with jax.enable_x64(True):
        exact = np.asarray(arpeggiator(arpeggiator.space.theta(values)))
    assert exact.dtype == np.float64
    single = np.asarray(arpeggiator(arpeggiator.space.theta(values)))
    assert (single.dtype, single.shape) == (np.float32, (32_768,))
    for sound, bound in ((exact, 1e-7), (single, 5e-4)):  # stored as float32; theta in float32
        assert distance(sound[14336:18432], STORED["x_excerpt"][trial]) < bound
        assert distance(sound[::64], STORED["x_every64"][trial]) < bound
        assert np.sqrt(np.mean(sound**2)) == pytest.approx(STORED["rms"][trial], rel=1e-4)


@pytest.mark.parametrize("theta", np.random.default_rng(1).uniform(size=(4, 3)), ids=range(4))
def test_the_sound_is_that_of_a_loop(theta):
    assert distance(double(arpeggiator, theta), looped(arpeggiator, theta)) < 1e-10
    assert distance(arpeggiator(theta), looped(arpeggiator, np.float32(theta))) < 5e-8


def test_its_program_is_the_same_sound(rng):
    for synth in (arpeggiator, replace(arpeggiator, sample_rate=44_100, num_samples=22_051)):
        for theta in (*rng.uniform(size=(3, 3)), *CORNERS[[0, -1]].astype(float)):
            assert np.abs(double(synth, theta) - synth.render_native(theta)).max() < 1e-10
    checked = replace(arpeggiator, num_samples=512).check()  # of the program itself
    assert [each.derivative for each in checked.parameters] == ["right"] * 3


def test_derivatives_are_slopes(rng):
    theta, d = np.float32(rng.uniform(0.1, 0.9, size=(2, 3)))
    ahead, behind = (double(arpeggiator, theta + step * d.astype(float)) for step in (1e-7, -1e-7))
    slope, v = (ahead - behind) / 2e-7, np.float32(rng.normal(size=arpeggiator.num_samples))
    assert distance(_audio_and_jacobian(arpeggiator, theta)[1] @ d, slope) < 1e-6
    assert jax.grad(lambda theta: arpeggiator(theta) @ v)(theta) @ d == pytest.approx(v @ slope, rel=1e-4)


def test_all_is_finite_to_the_corners():
    sounds, slopes = map(np.stack, zip(*(_audio_and_jacobian(arpeggiator, corner) for corner in CORNERS), strict=True))
    assert np.isfinite(sounds).all()
    assert np.isfinite(slopes).all()
    assert np.abs(slopes).max(axis=(1, 2)).min() > 1
    assert np.abs(sounds).max() <= 1
    assert np.isfinite(replace(arpeggiator, num_samples=2**22, sample_rate=2049)(CORNERS[-1])).all()  # 17 minutes


def test_a_batch_is_a_loop_and_a_length_is_a_length():
    thetas = jax.random.uniform(jax.random.key(0), (3, 3))
    loop = np.stack([arpeggiator(theta)[14336:18432] for theta in thetas])
    np.testing.assert_allclose(jax.jit(jax.vmap(SHORT))(thetas), loop, atol=1e-7)


def test_it_is_a_synth_of_the_catalogue():
    assert isinstance(arpeggiator, Synth)
    assert arpeggiator == replace(SHORT, num_samples=32_768)
    assert hash(arpeggiator) == hash(replace(SHORT, num_samples=32_768))
    assert arpeggiator.space.warp == ("log",) * 3
    assert (arpeggiator.space.low, arpeggiator.space.high) == ((512, 4, 0.5), (1024, 16, 4))
    linear = replace(arpeggiator, warp=("linear",) * 3)
    np.testing.assert_allclose(linear.space.to_physical(np.full(3, 0.5)), [768, 10, 2.25])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sample_rate": 2000}, "f_c goes up to 1024 Hz; the sample rate must be more than twice that, not 2000 Hz"),
        ({"sample_rate": 0}, "sample_rate must be a positive integer, not 0"),
        ({"num_samples": -1}, "num_samples must be a positive integer, not -1"),
        ({"source": arpeggiator.source.replace("0.5, 4, 0.001", "0, 4, 0.001")}, "log warp needs low > 0, not 0"),
        ({"source": arpeggiator.source.replace("] f_m", "] rate")}, "they must be f_c, f_m, gamma, all > 0"),
        ({"warp": ("linear",)}, "warp must have 3 entries"),
    ],
)
def test_wrong_settings_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        replace(arpeggiator, **change)


def test_wrong_parameters_are_refused():
    assert isinstance(arpeggiator, Arpeggiator)
    with pytest.raises(ValueError, match=r"theta must have shape \(3,\), one entry for each of f_c, f_m, gamma"):
        arpeggiator(np.zeros(2))
    with pytest.raises(ValueError, match="f_c = 700 is no unit value"):
        arpeggiator(np.array([700.0, 8.0, 2.0]))
