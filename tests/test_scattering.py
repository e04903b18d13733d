import warnings
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kymatio.scattering1d.frontend.numpy_frontend import ScatteringNumPy1D

from sonimatch.losses.scattering import Scattering
from sonimatch.scattering import TimeScattering, bank, lowpass, morlet, padded_length
from sonimatch.scattering.time import _plan, _transform

REFERENCE = np.load(Path(__file__).parent / "data" / "scattering1d_public.npz")
SETTINGS = {"J6Q1": (6, 1), "J10Q2": (10, 2)}
SIGNALS = ("chirp_up", "noise_bursts_rhythm")


def signal(name):
    return REFERENCE[f"in/44100/{name}"] / 32768


def distance(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("config", SETTINGS)
@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("released", [False, True])
def test_stored_reference(config, name, released):
    """float32 against float64 stored as float32: 2e-7 reached."""
    expected = REFERENCE[f"{config}/S/{name}"].astype(float)
    if not released:
        expected *= 2.0 ** REFERENCE[f"{config}/log2_gain"][:, None]
    S = TimeScattering(*SETTINGS[config], released=released)(jnp.float32(signal(name)))
    assert S.dtype == jnp.float32
    assert S.shape == expected.shape
    assert distance(S, expected) < 1e-6
    rows = np.linalg.norm(S - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert rows[1:].max() < 1e-2  # also the rows that hold next to nothing, where rounding shows


@pytest.mark.parametrize("config", SETTINGS)
def test_paths(config):
    paths = TimeScattering(*SETTINGS[config]).paths
    for field, value in paths._asdict().items():
        np.testing.assert_allclose(value, REFERENCE[f"{config}/{field}"], rtol=1e-12, err_msg=field)


@pytest.mark.parametrize(("J", "Q", "n"), [(6, 1, 44100), (1, 1, 100), (4, 2, 16), (4, 3, 999)])
def test_kymatio(J, Q, n, rng):
    """Double precision against the NumPy front end of kymatio 0.3.0, sounds of any length."""
    x = rng.normal(size=n)
    with warnings.catch_warnings(action="ignore"):  # that short sounds have border effects
        expected = ScatteringNumPy1D(J, n, Q)(x)
    with jax.enable_x64(True):
        S = np.asarray(TimeScattering(J, Q, released=True)(jnp.asarray(x)))
    assert S.dtype == np.float64
    assert S.shape == expected.shape
    assert distance(S, expected) < 1e-10


@pytest.mark.parametrize(("J", "Q"), [(5, 1), (4, 3)])
def test_against_no_decimation_at_all(J, Q, rng):
    """Every convolution and modulus at the full rate, in double precision. The difference is what decimation
    folds back; with the released weights, or any other, rows are off by powers of two."""
    n, T = 3000, 2**J
    x = rng.normal(size=n)
    size = padded_length(n, T)
    left = (size - n) // 2
    padded = np.pad(x, (left, size - n - left), mode="reflect")
    phi = lowpass(size, 0.1 / T)

    def convolve(u, h):
        return np.fft.ifft(np.fft.fft(u) * h)

    def modulated(u, wavelets):
        return [np.abs(convolve(u, morlet(size, *w))) for w in wavelets]

    S = TimeScattering(J, Q)
    first = modulated(padded, bank(J, Q))
    by_pair = {
        (xi1, xi2): u2
        for (xi1, _), u1 in zip(bank(J, Q), first, strict=True)
        for (xi2, _), u2 in zip(bank(J, 1), modulated(u1, bank(J, 1)), strict=True)
    }
    second = [by_pair[tuple(xi)] for xi in S.paths.xi[S.paths.order == 2]]
    expected = np.stack([convolve(u, phi).real for u in (padded, *first, *second)])
    expected = expected[:, ::T][:, -(-left // T) : -(-(left + n) // T)]
    with jax.enable_x64(True):
        ours = np.asarray(S(jnp.asarray(x)))
    rows = np.linalg.norm(ours - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert rows.max() < 2e-3
    assert distance(ours, expected) < 1e-4


def test_wavelets_have_unit_norm_and_no_mean():
    for xi, sigma in bank(6, 2):
        psi = morlet(4096, xi, sigma)
        assert abs(psi[0]) < 1e-12
        assert np.abs(np.fft.ifft(psi)).sum() == pytest.approx(1)
        assert abs(np.argmax(psi) / 4096 - xi) < 0.1 * sigma + 1 / 4096


@pytest.mark.parametrize("released", [False, True])
def test_silence(released):
    S = TimeScattering(2, released=released)
    x, v = jnp.zeros(2000), jnp.ones(2000)
    assert not S(x).any()
    assert not jax.jvp(S, (x,), (v,))[1][1:].any()
    assert np.isfinite(jax.jacrev(lambda x: S(x).sum())(x)).all()
    assert not jax.grad(lambda x: S(x)[1:].sum())(x).any()


def test_forward_mode_is_reverse_mode(rng):
    S = TimeScattering(3)
    x, v = (jnp.asarray(rng.normal(size=1000), jnp.float32) for _ in range(2))
    w = jnp.asarray(rng.normal(size=S(x).shape), jnp.float32)
    forward = jax.jit(partial(jax.jvp, S))((x,), (v,))[1]
    (reverse,) = jax.jit(lambda x, w: jax.vjp(S, x)[1](w))(x, w)
    np.testing.assert_allclose(jnp.vdot(w, forward), jnp.vdot(reverse, v), rtol=1e-4)


def test_gradient_is_that_of_finite_differences(rng):
    with jax.enable_x64(True):
        S = TimeScattering(3, 2)
        x, v = (jnp.asarray(rng.normal(size=1500)) for _ in range(2))
        step = 1e-6
        finite = (S(x + step * v) - S(x - step * v)) / (2 * step)
        assert distance(jax.jvp(S, (x,), (v,))[1], finite) < 1e-7


def test_a_shorter_transform_changes_nothing(rng, monkeypatch):
    """One second takes 3/4 of the padded length: the rest is out of reach of the filters."""
    x = rng.normal(size=44100)

    def transform():  # traced anew at each call
        return np.asarray(jax.jit(lambda x: _transform.__wrapped__(x, 2, 1))(jnp.asarray(x)))

    assert _plan(2, 1, x.size).phi.size == 3 * 2**14
    with jax.enable_x64(True):
        short = transform()
        monkeypatch.setattr("sonimatch.scattering.time._shorter", lambda n, *_: (n, 0))
        monkeypatch.setattr("sonimatch.scattering.time._plan", _plan.__wrapped__)
        full = transform()
    assert distance(short, full) < 1e-12


def test_batch(rng):
    S = TimeScattering(3)
    x = jnp.asarray(rng.normal(size=(3, 2000)), jnp.float32)
    assert distance(jax.vmap(S)(x), np.stack([S(row) for row in x])) < 1e-6


@pytest.mark.parametrize(("J", "Q"), [(4, 1), (6, 2), (6, 8)])
def test_filters_do_not_amplify(J, Q):
    """No frequency of a real sound leaves a bank with more energy than it came with."""
    n = 4096
    psi = np.stack([morlet(n, *w) for w in bank(J, Q)])
    energy = lowpass(n, 0.1 / 2**J) ** 2 + 0.5 * (psi**2 + np.roll(psi[:, ::-1], 1, 1) ** 2).sum(0)
    assert energy.max() < 1 + 1e-9


@pytest.mark.parametrize("J", [4, 6])
def test_energy_is_that_of_the_sound_at_most(J, rng):
    x = np.pad(rng.normal(size=6000), 1000)
    S = np.asarray(TimeScattering(J)(jnp.asarray(x, jnp.float32)))
    energy = 2**J * (S**2).sum()
    assert 0.1 * (x**2).sum() < energy < (x**2).sum()


def test_small_shifts_matter_little():
    x = signal("noise_bursts_rhythm")
    S = TimeScattering(8)
    near, far = (distance(S(jnp.float32(np.roll(x, shift)))[1:], S(jnp.float32(x))[1:]) for shift in (8, 4096))
    spectral = distance(np.roll(x, 8), x)
    assert near < 0.02 < 0.2 < far
    assert spectral > 1


def test_gain(rng):
    x = jnp.asarray(rng.normal(size=2000), jnp.float32)
    S = TimeScattering(4)
    assert distance(S(3 * x), 3 * S(x)) < 1e-6


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (jnp.zeros((2, 100)), "one axis"),
        (jnp.zeros(100, jnp.float16), "float32"),
        (jnp.zeros(63), "at least 64"),
    ],
)
def test_bad_audio(audio, message):
    with pytest.raises(ValueError, match=message):
        TimeScattering()(audio)


@pytest.mark.parametrize("setting", [{"J": 0}, {"J": 2.5}, {"Q": 0}])
def test_bad_settings(setting):
    for cls in (TimeScattering, Scattering):
        with pytest.raises(ValueError, match="whole number"):
            cls(**setting)


def test_shortest_audio(rng):
    for J in (1, 4):
        S = TimeScattering(J)(jnp.asarray(rng.normal(size=2**J), jnp.float32))
        assert np.isfinite(S).all()
        assert S.size


def test_loss(rng):
    loss = Scattering()
    target, x = (jnp.asarray(rng.normal(size=5000), jnp.float32) for _ in range(2))
    feature = loss.feature(target)
    assert loss.distance(feature, feature) == 0
    expected = np.abs(np.asarray(feature) - TimeScattering()(x)).mean()
    assert loss.distance(feature, loss.feature(x)) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="shapes"):
        loss.distance(feature, feature[:, 1:])
