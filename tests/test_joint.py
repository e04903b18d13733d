import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sonimatch.scattering import JointScattering

STORED = np.load(Path(__file__).parent / "data" / "jtfs_public.npz")
SCRAPL = np.load(Path(__file__).parent / "data" / "scrapl_public.npz")
CONFIGS = {name.split("/")[0]: json.loads(str(STORED[name])) for name in STORED.files if name.endswith("/config")}
SMALL = JointScattering(J=6, Q=(4, 1), J_fr=2, T="global")


def transform(config):
    return JointScattering(*(tuple(x) if isinstance(x, list) else x for x in (config[k] for k in WORDS)))


WORDS = ("J", "Q", "J_fr", "Q_fr", "T", "F")
CASES = [name.split("/")[::2] for name in STORED.files if name.split("/")[1] == "S"]


def distance(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def chirp(n, octaves):
    """A sine that passes 0.05 cycles per sample in its middle, and vanishes at both ends."""
    c = np.arange(n) / n - 0.5
    return np.sin(2 * np.pi * 0.05 * n * (2 ** (octaves * c) - 1) / (octaves * np.log(2))) * np.exp(
        -((c / 0.1) ** 2) / 2
    )


# The stored coefficients: kymatio's development version for local T, an independent program for the global mean


@pytest.mark.parametrize("config", CONFIGS)
def test_paths_are_the_stored_ones(config):
    of, rows = transform(CONFIGS[config]), STORED[f"{config}/paths"]
    paths = of.paths(sample_rate=1000)
    found = paths.order, paths.n2, paths.n_fr, paths.spin, paths.n1_max, paths.log2_stride
    np.testing.assert_array_equal(np.stack(found, 1), rows[:, [0, 1, 2, 3, 5, 6]])
    second = rows[:, 1] >= 0
    np.testing.assert_allclose(paths.xi_t[second], STORED[f"{config}/psi2"][rows[second, 1], 0], rtol=1e-12)
    np.testing.assert_allclose(paths.xi_fr, STORED[f"{config}/psi_fr"][rows[:, 2], 0], rtol=1e-12)
    np.testing.assert_allclose(paths.rate_hz[second], 1000 * paths.xi_t[second])
    np.testing.assert_allclose(paths.scale_cpo, paths.xi_fr * of.Q[0])
    assert np.isnan(paths.xi_t[~second]).all()


@pytest.mark.parametrize(("config", "name"), CASES, ids=map("-".join, CASES))
def test_coefficients_are_the_stored_ones(config, name):
    """float32 against float64 stored as float32: 6e-6 reached, on paths by themselves 3e-4."""
    expected = STORED[f"{config}/S/{name}"]
    x = jnp.float32(STORED[f"in/{CONFIGS[config]['shape']}/{name}"] / 32768)
    S = transform(CONFIGS[config])(x)
    assert (S.shape, S.dtype) == (expected.shape, jnp.float32)
    assert distance(S, expected) < 2e-5
    size = np.linalg.norm(expected, axis=(1, 2))
    loud = size > 1e-3 * size.max()
    assert (np.linalg.norm(S - expected, axis=(1, 2)) / size)[loud].max() < 2e-3


def test_double_precision_is_the_stored_one_to_its_last_digits():
    with jax.enable_x64(True):
        S = np.asarray(transform(CONFIGS["small_q2_global"])(jnp.asarray(STORED["in/8192/chirp_up"] / 32768)))
    assert S.dtype == np.float64
    assert distance(S, STORED["small_q2_global/S/chirp_up"]) < 1e-7  # stored as float32


@pytest.mark.parametrize("F", [2, 4])
def test_a_package_that_anyone_can_install_agrees(F):
    """scrapl-loss 0.1.0: the same paths in the same order, at both ends too, after its row of order zero."""
    of, expected = JointScattering(6, (4, 1), 2, 1, T=256, F=F), SCRAPL[f"local/F{F}"]
    np.testing.assert_array_equal(of.paths().n2[4:], SCRAPL[f"local/F{F}/n2"][5:])
    np.testing.assert_array_equal(of.paths().spin, SCRAPL[f"local/F{F}/spin"])
    assert distance(np.asarray(of(SCRAPL["sound"])), expected) < 5e-6  # 4e-7 reached, both float32


def test_where_its_single_paths_differ():
    """They keep the frames of the padding, which is the sound's mirror image, and sum over them for the global mean: a
    rising chirp has then nearly as much of either spin."""
    of, ours = (JointScattering(6, (4, 1), 2, 1, T, 4) for T in (256, "global"))
    second = of.paths().order == 2
    padded = SCRAPL["single/local"][..., 0]
    assert distance(np.asarray(of(SCRAPL["sound"]))[second], padded[..., 4:12]) < 5e-6
    energy = {}
    for name, S in {"theirs": SCRAPL["single/global"], "ours": np.asarray(ours(SCRAPL["sound"]))[second]}.items():
        energy[name] = [(S[of.paths().spin[second] == spin] ** 2).sum() for spin in (1, -1)]
    assert np.divide(*energy["theirs"]) == pytest.approx(1.10, abs=0.01)
    assert np.divide(*energy["ours"]) == pytest.approx(11.5, abs=0.1)


def test_epsilon_takes_the_logarithm():
    x = jnp.float32(chirp(2048, 4))
    S, log = SMALL(x), JointScattering(J=6, Q=(4, 1), J_fr=2, T="global", epsilon=1e-3)(x)
    np.testing.assert_allclose(log, np.log1p(np.asarray(S) / 1e-3), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("settings", [{"F": 2, "T": "global"}, {"epsilon": 1e-3, "Q_fr": 2}])
def test_some_paths_are_those_of_all(settings, rng):
    """Each path by itself, in any order and more than once, and their derivative, where the choice is traced."""
    of = JointScattering(J=4, Q=(2, 1), J_fr=2, **settings)
    x, every = jnp.float32(rng.normal(size=2000)), len(of.paths().order)
    chosen = np.r_[rng.permutation(every), 0, every - 1]
    expected, found = of(x)[chosen], of.some(x, chosen)
    assert found.shape == expected.shape
    assert max(map(distance, found, expected)) < 1e-4  # of each path; 2e-6 reached
    of_some = jax.jit(jax.grad(lambda x, chosen: (of.some(x, chosen) ** 2).sum()))
    full = jax.grad(lambda x: (of(x) ** 2)[chosen[:3]].sum())(x)
    assert distance(of_some(x, chosen[:3]), full) < 1e-4


# Properties


@pytest.fixture(scope="module")
def up():
    return np.asarray(SMALL(jnp.float32(chirp(4096, 4))))


def test_time_reversal_swaps_the_spins(up):
    paths, down = SMALL.paths(), np.asarray(SMALL(jnp.float32(chirp(4096, 4)[::-1])))
    rising, falling = (np.flatnonzero((paths.order == 2) & (paths.spin == spin)) for spin in (1, -1))
    assert distance(down[rising], up[falling]) < 5e-3
    assert distance(down[falling], up[rising]) < 5e-3
    flat = paths.spin == 0
    assert distance(down[flat], up[flat]) < 5e-3


def test_a_rising_chirp_has_spin_one(up):
    paths = SMALL.paths()
    energy = [(up[(paths.order == 2) & (paths.spin == spin)] ** 2).sum() for spin in (1, -1)]
    assert energy[0] > 1.5 * energy[1]


def test_a_shift_in_time_is_hardly_heard(up):
    """Of the global mean, 200 samples of 4,096; a chirp of one octave in place of four is."""
    shifted, other = (SMALL(jnp.float32(x)) for x in (np.roll(chirp(4096, 4), 200), chirp(4096, 1)))
    assert distance(shifted, up) < 1e-4
    assert distance(other, up) > 0.05


def test_nothing_is_louder_than_the_sound(up, rng):
    """All filters have unit l1 norm, so no coefficient exceeds the peak; and gain is gain."""
    x = jnp.float32(rng.normal(size=4096))
    assert up.min() > -1e-6
    assert np.max(SMALL(x)) <= np.abs(x).max()
    np.testing.assert_allclose(SMALL(8 * x), 8 * SMALL(x), rtol=1e-4, atol=1e-6)


def test_derivatives_agree_and_silence_has_one(rng):
    of = JointScattering(J=4, Q=(2, 1), J_fr=2, T=64)
    with jax.enable_x64(True):
        x, d = rng.normal(size=(2, 300))
        objective = jax.jit(lambda x: (of(x) ** 2).sum())
        reverse = float(jax.grad(objective)(x) @ d)
        assert jax.jvp(objective, (x,), (d,))[1] == pytest.approx(reverse, rel=1e-10)
        slope = (objective(x + 1e-6 * d) - objective(x - 1e-6 * d)) / 2e-6
        assert slope == pytest.approx(reverse, rel=1e-6)
    value, gradient = jax.value_and_grad(lambda x: jnp.log1p(of(x) / 1e-3).sum())(jnp.zeros(300))
    assert value == 0
    assert jnp.isfinite(gradient).all()


def test_a_batch_is_a_loop(rng):
    batch = jnp.float32(rng.normal(size=(3, 500)))
    of = JointScattering(J=4, Q=(2, 1), J_fr=2)
    np.testing.assert_allclose(jax.vmap(of)(batch), np.stack([*map(of, batch)]), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"J": 0}, "J is 0"),
        ({"Q": (0, 1)}, r"Q\[0\] is 0"),
        ({"Q_fr": 1.5}, "Q_fr is 1.5"),
        ({"F": 16}, "F is 16; it must be a power of two up to 2.J_fr = 8"),
        ({"F": 3}, "F is 3"),
        ({"T": 16}, "T is 16; it must be 'global' or at least 64 samples for J = 8"),
        ({"T": "all"}, "T is 'all'"),
        ({"epsilon": 0.0}, "epsilon is 0"),
    ],
)
def test_wrong_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        JointScattering(**settings)


def test_wrong_audio_is_refused():
    for audio, words in (
        (jnp.zeros((2, 300)), "one axis"),
        (jnp.zeros(300, int), "float"),
        (jnp.zeros(60), "60 samples"),
    ):
        with pytest.raises(ValueError, match=words):
            SMALL(audio)


def test_equal_settings_are_one_entry_of_the_jit_cache():
    traced = []

    @partial(jax.jit, static_argnums=0)
    def f(of, x):
        traced.append(of)
        return of(x)

    for _ in range(2):
        f(JointScattering(J=4, Q=(2, 1), J_fr=2), jnp.zeros(500))
    assert len(traced) == 1
