"""The drum against stored waveforms and modes, a loop over modes, and its own Faust program."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sonimatch import drum
from sonimatch.faust.synth import _audio_and_jacobian
from sonimatch.synths.drum import SOUNDING, Drum
from sonimatch.types import Synth

with np.load(Path(__file__).parent / "data" / "synth_public.npz") as stored:
    STORED = {name.split("/")[1]: stored[name] for name in stored.files if name.startswith("drum/")}
SHORT = replace(drum, num_samples=5000)  # no square, no power of two
CORNERS = np.array([*product((0.0, 1.0), repeat=5)], np.float32)
SQUARE = np.ix_(SOUNDING - 1, SOUNDING - 1)


def distance(a, b):
    return np.linalg.norm(np.subtract(a, b)) / np.linalg.norm(b)


def peaked(sound):
    return sound / np.abs(sound).max()


def double(synth, theta):
    with jax.enable_x64(True):
        return np.asarray(synth(jnp.asarray(theta, float)))


def stored_theta(trial):
    return drum.space.theta(dict(zip(drum.space.names, STORED["theta"][trial].tolist(), strict=True)))


def looped(synth, theta):
    """One mode after the other, of the values that the synth takes at `theta`."""
    with jax.enable_x64(True):
        omega, tau, p, D, alpha = np.asarray(synth.space.exact(theta)).tolist()
    t, y = np.arange(synth.num_samples) / synth.sample_rate, np.zeros(synth.num_samples)
    beta = alpha + 1 / alpha
    for m1, m2 in product(range(1, 11), repeat=2):
        r = (m1**2 * alpha**2 + m2**2) / (1 + alpha**2)
        q = ((m1**2 - 1) * alpha**2 + (m2**2 - 1)) / (1 + alpha**2)  # r - 1, which at a small alpha loses its digits
        frequency = np.sqrt(omega**2 * (r + D**2 * beta**2 * r * q) + q * (1 - p * beta) ** 2 / tau**2)
        if frequency < np.pi * synth.sample_rate:
            hit = np.sin(0.4 * np.pi * m1) ** 2 * np.sin(0.4 * np.pi * m2) ** 2 / frequency
            y += hit * np.exp(-(1 + p * beta * q) / tau * t) * np.sin(frequency * t)
    return peaked(y)


@pytest.mark.parametrize("trial", range(3))
def test_the_sound_is_the_stored_one(trial):
    with jax.enable_x64(True):
        exact = np.asarray(drum(stored_theta(trial)))
    assert exact.dtype == np.float64
    single = np.asarray(drum(stored_theta(trial)))
    assert (single.dtype, single.shape) == (np.float32, (65_536,))
    for sound, bound in ((exact, 1e-7), (single, 2e-3)):  # stored as float32; theta in float32
        assert distance(sound[:4096], STORED["x_excerpt"][trial]) < bound
        assert distance(sound[::64], STORED["x_every64"][trial]) < bound
        assert np.sqrt(np.mean(sound**2)) == pytest.approx(STORED["rms"][trial], rel=1e-4)


@pytest.mark.parametrize("trial", range(3))
def test_the_modes_are_the_stored_ones(trial):
    with jax.enable_x64(True):
        theta = np.asarray(stored_theta(trial))
    modes = drum.modes(theta)
    np.testing.assert_allclose(modes.omega, STORED["omega"][trial][SQUARE], rtol=1e-9)
    np.testing.assert_allclose(modes.sigma, STORED["sigma"][trial][SQUARE], rtol=1e-9)
    np.testing.assert_array_equal(modes.amplitude > 0, STORED["mask_nyquist"][trial][SQUARE])


@pytest.mark.parametrize(
    "theta", [*np.random.default_rng(1).uniform(size=(3, 5)), *CORNERS[[14, -1]].astype(float)], ids=range(5)
)
def test_the_sound_is_that_of_a_loop(theta):
    assert distance(double(drum, theta), looped(drum, theta)) < 1e-10
    assert distance(drum(theta), looped(drum, np.float32(theta))) < 5e-8


def test_its_program_is_the_same_sound(rng):
    for theta in (*rng.uniform(size=(4, 5)), *CORNERS[[0, 13, -1]].astype(float)):
        native = drum.render_native(theta)
        assert np.abs(double(drum, theta) - peaked(native)).max() < 1e-10
        assert 0.1 < np.abs(native).max() <= 1


def test_derivatives_are_slopes(rng):
    theta, d = np.float32(rng.uniform(0.2, 0.8, size=(2, 5)))
    here, ahead, behind = (double(drum, theta + step * d.astype(float)) for step in (0, 1e-8, -1e-8))
    slope, v = (ahead - behind) / 2e-8, np.float32(rng.normal(size=drum.num_samples))
    assert distance(_audio_and_jacobian(drum, theta)[1] @ d, slope) < 1e-5
    gradient, curved = jax.jvp(jax.grad(lambda theta: drum(theta) @ v), (theta,), (d,))
    assert gradient @ d == pytest.approx(v @ slope, rel=1e-4)
    ahead, behind = (double(drum, theta + step * d.astype(float)) for step in (1e-6, -1e-6))
    assert curved @ d == pytest.approx(v @ (ahead - 2 * here + behind) / 1e-12, rel=1e-2)


def test_all_is_finite_to_the_corners():
    sounds, slopes = map(np.stack, zip(*(_audio_and_jacobian(drum, corner) for corner in CORNERS), strict=True))
    assert np.isfinite(sounds).all()
    assert np.isfinite(slopes).all()
    assert np.abs(slopes).max(axis=(1, 2)).min() > 1
    np.testing.assert_allclose(np.abs(sounds).max(1), 1, rtol=1e-6)


def test_a_batch_is_a_loop_and_a_length_is_a_length():
    thetas = jax.random.uniform(jax.random.key(0), (3, 5))
    loop = np.stack([drum(theta)[:5000] for theta in thetas])
    np.testing.assert_allclose(jax.jit(jax.vmap(SHORT))(thetas), loop, atol=1e-6)


def test_modes_above_half_the_rate_are_left_out():
    """At a lower rate the same drum has fewer modes; the lowest is `omega`, and dies as `tau` says."""
    theta = drum.space.theta({"omega": 6000, "tau": 0.5})
    modes, fewer = drum.modes(theta), replace(drum, sample_rate=4096).modes(theta)
    assert (modes.omega[0, 0], modes.sigma[0, 0]) == pytest.approx((6000, 2))
    assert np.count_nonzero(modes.amplitude) > np.count_nonzero(fewer.amplitude) > 0
    assert not fewer.amplitude[fewer.omega > np.pi * 4096].any()


def test_it_is_a_synth_of_the_catalogue():
    assert isinstance(drum, Synth)
    assert drum == replace(SHORT, num_samples=65_536)
    assert hash(drum) == hash(replace(SHORT, num_samples=65_536))
    assert drum.space.warp == ("log", "linear", "log", "log", "linear")
    np.testing.assert_allclose(drum.space.low, (10**2.4, 0.07, 1e-5, 1e-5, 1e-5), rtol=1e-14)
    np.testing.assert_allclose(drum.space.high, (10**3.8, 0.8, 10**-0.7, 0.3, 1), rtol=1e-14)
    linear = replace(drum, warp=("linear",) * 5)
    np.testing.assert_allclose(linear.space.to_physical(np.full(5, 0.5))[3], 0.150005)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sample_rate": 2000}, "omega goes up to 6309.57 rad/s, for which .* more than 2008 Hz, not 2000 Hz"),
        ({"sample_rate": 0}, "sample_rate must be a positive integer, not 0"),
        ({"num_samples": 1}, "num_samples is 1; it must be at least 2"),
        ({"source": drum.source.replace("0.6, 0.00001, 1,", "0.6, 0, 1,")}, "'alpha': 0.*they must be omega, tau, p"),
        ({"warp": ("cubic",) * 5}, "warp 'cubic' is not one of"),
    ],
)
def test_wrong_settings_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        replace(drum, **change)


def test_wrong_parameters_are_refused():
    assert isinstance(drum, Drum)
    with pytest.raises(ValueError, match=r"theta must have shape \(5,\), one entry for each of omega, tau, p"):
        drum(np.zeros(2))
    with pytest.raises(ValueError, match="omega = 1000 is no unit value"):
        drum.modes(np.array([1000.0, 0.4, 0.01, 0.1, 0.5]))
