from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.optimize
from scipy.stats import wasserstein_distance

from sonimatch.features import RELEASED_STFT
from sonimatch.losses import (
    JTFS,
    LOSSES,
    PAPER_LOSSES,
    RELEASED_LOSSES,
    Averaged,
    CumulativeEnergy,
    DTW_Envelope,
    L1_Spec,
    LogMel,
    Marginals,
    MFCC_Spec,
    MSS_Spec,
    SIMSE_Spec,
    SOT_Spec,
    Sum,
    soft_dtw,
)
from sonimatch.scattering import JointScattering
from sonimatch.synths import bp_noise
from sonimatch.types import Loss

SAMPLES = 2000
PATHS = {  # settings that are computed in another way
    "SIMSE_Spec-clip": SIMSE_Spec(stft=RELEASED_STFT, clip=True),
    "CumulativeEnergy-log": CumulativeEnergy(log=True),
    "SOT_Spec-1": SOT_Spec(order=1),
    "JTFS": JTFS(JointScattering(J=4, Q=(2, 1), J_fr=1, T="global", epsilon=1e-3)),  # quicker than the default
    "Sum": Sum((L1_Spec(), Marginals(), LogMel()), scales=(0.1, 0.2, 1.0), floors=(0.0, 1e-4, 0.0)),
}
CONTRACT = {loss.name: loss for loss in LOSSES} | PATHS
every_loss = pytest.mark.parametrize("loss", CONTRACT.values(), ids=CONTRACT)
LEAST = {"Marginals": 1e-4}  # the value at equality; 0 or less for the others
CORNERED = (
    "L1_Spec",
    "Scattering",
    "CumulativeEnergy",
    "LogMel",
    "MFCC_Spec",
    "MSS_Spec",
    "JTFS",
)  # slope 0 there, by choice


def sounds(rng, n=2, dtype=np.float32):
    """Noise bursts of different rhythm: the envelope, the spectrum and the gain all differ."""
    time = np.arange(SAMPLES) / SAMPLES
    return [
        jnp.asarray((0.2 + k) * rng.normal(size=SAMPLES) * np.sin(np.pi * (k + 1) * time) ** 2, dtype) for k in range(n)
    ]


def between(loss, target):
    """The loss to a fixed target as a function of the candidate's audio."""
    return lambda audio: loss.distance(loss.feature(target), loss.feature(audio))


@partial(jax.jit, static_argnums=0)
def value_and_grad(loss, target, audio):
    return jax.value_and_grad(between(loss, target))(audio)


# The contract


def test_names_are_unique():
    for losses in (LOSSES, RELEASED_LOSSES):
        assert len({loss.name for loss in losses}) == len(losses)
    assert [x.name for x in PAPER_LOSSES] == [x.name for x in RELEASED_LOSSES]


@every_loss
def test_protocol(loss):
    assert isinstance(loss, Loss)
    assert loss.sample_rate == (44100 if isinstance(loss, LogMel | Sum) else None)


@every_loss
def test_equal_settings_are_one_entry_of_the_jit_cache(loss, rng):
    traced = []

    @partial(jax.jit, static_argnums=0)
    def feature(loss, audio):
        traced.append(loss)
        return loss.feature(audio)

    twin = replace(loss)
    assert twin == loss
    assert hash(twin) == hash(loss)
    for one in (loss, twin):
        feature(one, sounds(rng)[0])
    assert len(traced) == 1


@every_loss
def test_equality_is_smallest_or_negative(loss, rng):
    x, y = sounds(rng)
    value, gradient = value_and_grad(loss, x, x)
    if loss.name in CORNERED:
        np.testing.assert_array_equal(gradient, 0)
    other = value_and_grad(loss, x, y)[0]
    assert value < other
    assert value <= LEAST.get(loss.name, 0) + 1e-5 * other  # the two features may be rounded differently
    assert jnp.isfinite(gradient).all()


@every_loss
@pytest.mark.parametrize(("gain_target", "gain"), [(0, 0), (1, 0), (0, 1), (1, 1), (1, 1e-19), (1e-19, 1), (1e3, 1e3)])
def test_finite_at_silence_and_at_any_level(loss, gain_target, gain, rng):
    x, y = sounds(rng)
    value, gradient = value_and_grad(loss, gain_target * x, gain * y)
    assert jnp.isfinite(value)
    assert jnp.isfinite(gradient).all()


@every_loss
def test_forward_mode_equals_reverse_mode_equals_finite_differences(loss, rng):
    with jax.enable_x64(True):
        x, y = sounds(rng, dtype=np.float64)
        objective = lambda y: value_and_grad(loss, x, y)[0]  # noqa: E731
        tangent = jax.jit(lambda d: jax.jvp(between(loss, x), (y,), (d,))[1])
        gradient = value_and_grad(loss, x, y)[1]
        for direction in rng.normal(size=(2, SAMPLES)) / np.sqrt(SAMPLES):
            forward = tangent(direction)
            assert forward == pytest.approx(float(gradient @ direction), rel=1e-9)
            h = 1e-5
            slope = (objective(y + h * direction) - objective(y - h * direction)) / (2 * h)
            assert slope == pytest.approx(float(forward), rel=1e-4, abs=1e-4 * float(jnp.linalg.norm(gradient)))


@every_loss
def test_vmap_is_a_loop_and_jit_changes_nothing(loss, rng):
    x, *candidates = sounds(rng, 4)
    one_by_one = [value_and_grad(loss, x, y) for y in candidates]
    values, gradients = (np.stack(z) for z in zip(*one_by_one, strict=True))
    batch = jax.jit(jax.vmap(partial(value_and_grad, loss), (None, 0)))(x, jnp.stack(candidates))
    eager = between(loss, x)(candidates[0])
    # Float32, sums in another order; soft-DTW weighs alignments by differences of large sums.
    np.testing.assert_allclose(batch[0], values, rtol=2e-5)
    np.testing.assert_allclose(batch[1], gradients, atol=5e-3 * np.abs(gradients).max())
    np.testing.assert_allclose(eager, values[0], rtol=2e-5)
    for first, second in zip(value_and_grad(loss, x, candidates[0]), one_by_one[0], strict=True):
        np.testing.assert_array_equal(first, second)


@every_loss
def test_wrong_shapes_raise(loss):
    for audio in (jnp.zeros((2, SAMPLES)), jnp.zeros(3), jnp.zeros(SAMPLES, int)):
        with pytest.raises(ValueError, match="audio"):
            loss.feature(audio)
    feature = loss.feature(jnp.zeros(SAMPLES))
    with pytest.raises(ValueError, match="shapes"):
        loss.distance(feature, jax.tree.map(lambda leaf: leaf[None], feature))


# Spectral losses


def test_l1_spec_is_its_formula(rng):
    x, y = sounds(rng)
    loss = L1_Spec()
    a, b = (np.asarray(loss.stft(z), np.float64) for z in (x, y))
    assert between(loss, x)(y) == pytest.approx(np.abs(a - b).mean(), rel=1e-5)


@pytest.mark.parametrize("loss", [SIMSE_Spec(), SIMSE_Spec(stft=RELEASED_STFT, clip=True)])
def test_simse_spec_is_the_minimum_over_gains(loss, rng):
    x, y = (3 * z for z in sounds(rng))
    a, b = (np.asarray(loss.stft(z), np.float64) for z in (x, y))
    if loss.clip:
        assert a.max() > 1
        a, b = a.clip(0, 1), b.clip(0, 1)
    alpha = (a * b).sum() / (b * b).sum()
    best = scipy.optimize.minimize_scalar(lambda gain: ((a - gain * b) ** 2).mean())
    assert best.x == pytest.approx(alpha, rel=1e-6)
    assert between(loss, x)(y) == pytest.approx(best.fun, rel=1e-5)


def test_only_the_clipped_simse_spec_hears_the_candidates_gain(rng):
    x, y = sounds(rng)
    plain, clipped = (
        [value_and_grad(loss, x, g * y) for g in (1, 10)] for loss in (SIMSE_Spec(), SIMSE_Spec(clip=True))
    )
    assert plain[0][0] == pytest.approx(float(plain[1][0]), rel=1e-5)
    assert abs(clipped[0][0] / clipped[1][0] - 1) > 0.05
    gradient = plain[0][1]
    assert gradient @ y == pytest.approx(0, abs=1e-5 * float(jnp.linalg.norm(gradient) * jnp.linalg.norm(y)))


# Marginals, cumulative energy, optimal transport


@pytest.mark.parametrize("n_bands", [2, 28])
def test_marginals_are_their_formula(n_bands, rng):
    """The Wasserstein distance of SciPy on the warped axis, a loop over bands and bins, and one over frames."""
    with jax.enable_x64(True):
        sounds_ = [rng.normal(size=6000) * np.linspace(0.1, level, 6000) for level in (1, 0.3)]
        found = between(Marginals(n_bands=n_bands), sounds_[0])(jnp.asarray(sounds_[1]))
    window = np.hanning(6000) / np.linalg.norm(np.hanning(6000))
    powers = [np.abs(np.fft.rfft(window * x)) ** 2 for x in sounds_]
    warped = np.log(1 + np.arange(3001) / 6000 * 2205) / np.log(1 + 2205 / 2)
    courses, bands = [], []
    for x, power in zip(sounds_, powers, strict=True):
        level = [np.sqrt(np.mean(x[i : i + 882] ** 2)) for i in range(0, 6000 // 441 * 441 - 441, 441)]
        courses.append(np.array(level) / np.mean(level))
        shares = np.zeros(n_bands)
        for place, energy in zip(warped * (n_bands - 1), power, strict=True):  # between two bands, it is shared
            shares[min(int(place), n_bands - 2)] += energy * (1 - place + min(int(place), n_bands - 2))
            shares[min(int(place), n_bands - 2) + 1] += energy * (place - min(int(place), n_bands - 2))
        bands.append(0.5 * np.log(shares / power.sum() + 1e-5))
    loudness = abs(np.diff([0.5 * np.log(np.mean(x**2) + 1e-8) for x in sounds_])[0]) / 4
    factors = [
        wasserstein_distance(warped, warped, *powers),
        np.abs(courses[0] - courses[1]).mean() + loudness,
        np.abs(bands[0] - bands[1]).mean() + loudness,
    ]
    assert found == pytest.approx(np.prod(np.array(factors) + 1e-4) ** (1 / len(factors)), rel=1e-9)


def test_marginals_hear_gain_in_the_level_alone(rng):
    x = sounds(rng)[0]
    loud, soft = map(Marginals().feature, (x, x / 8))
    for one, other in zip(loud, soft, strict=True):
        if one is loud.level:
            assert one - other == pytest.approx(np.log(8), rel=1e-4)
        else:
            np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("CumulativeEnergy", CumulativeEnergy()),
        ("CumulativeEnergy-log", CumulativeEnergy(log=True)),
        ("SOT_Spec-1", SOT_Spec(order=1, epsilon=1e-15)),
        ("SOT_Spec-2", SOT_Spec(epsilon=1e-15)),
    ],
)
def test_a_loss_is_that_of_its_authors(name, loss):
    """The value, and the slopes along the target's and the candidate's own samples."""
    with np.load(Path(__file__).parent / "data/losses_public.npz") as stored, jax.enable_x64(True):
        x, y = (jnp.asarray(stored[sound] / 32768) for sound in ("target", "candidate"))
        value, gradient = value_and_grad(loss, x, y)
        np.testing.assert_allclose([value, gradient @ x, gradient @ y], stored[name], rtol=1e-9, atol=1e-12)
        single = value_and_grad(loss, x.astype(jnp.float32), y.astype(jnp.float32))[0]
        assert single == pytest.approx(stored[name][0], rel=1e-5)


def test_cumulative_energy_of_one_cell():
    """By hand: the shares are 1 from the cell on, seen from each corner, and the two cells are two bins apart."""
    one, other = np.zeros((2, 3, 5))
    one[1, 1], other[1, 3] = 4, 4
    accumulate = lambda e: jnp.stack(  # noqa: E731
        [e[::i, ::j].cumsum(0).cumsum(1)[::i, ::j] for i in (1, -1) for j in (1, -1)]
    )
    found = CumulativeEnergy(epsilon=1e-30).distance(accumulate(one), accumulate(other))
    assert found == pytest.approx(np.sqrt(2 * 2 / 15), rel=1e-6)  # in two frames of three, two bins of five differ by 1


def test_optimal_transport_is_scipys(rng):
    loss = SOT_Spec(order=1)
    a, b = (np.asarray(loss.feature(x), float) for x in sounds(rng))
    place = np.linspace(0, 1, a.shape[1])
    frames = [
        wasserstein_distance(place, place, np.diff(one, prepend=0), np.diff(other, prepend=0))
        for one, other in zip(a, b, strict=True)
    ]
    assert loss.distance(*map(jnp.float32, (a, b))) == pytest.approx(np.mean(frames), rel=1e-5)


@pytest.mark.parametrize("order", [1, 2])
def test_optimal_transport_of_tones_in_single_precision(order):
    """Above a tone the cumulative sums hardly rise, and rounding may let them fall."""
    time = np.arange(20_000) / 44100
    target, near = (0.5 * np.sin(2 * np.pi * hertz * time) for hertz in (440, 450))
    by_hertz = np.pi * time * np.cos(2 * np.pi * 450 * time)
    found = {}
    with jax.enable_x64(True):
        for kind in (np.float32, np.float64):
            a, b = (jnp.asarray(tone, kind) for tone in (target, near))
            value, gradient = value_and_grad(SOT_Spec(order=order), a, b)
            found[kind] = [value, gradient @ by_hertz]
            assert abs(value_and_grad(SOT_Spec(order=order), a, a)[0]) < 1e-3 * value
    np.testing.assert_allclose(*found.values(), rtol=1e-3)


def test_optimal_transport_does_not_hear_gain(rng):
    x, y = sounds(rng)
    loss = SOT_Spec()
    value, gradient = value_and_grad(loss, x, y)
    for gains in ((1, 2**-20), (2**10, 1), (2**-60, 2**-60)):
        assert value_and_grad(loss, *(gain * z for gain, z in zip(gains, (x, y), strict=True)))[0] == value
    assert value_and_grad(loss, x, 0.3 * y)[0] == pytest.approx(float(value), rel=1e-5)
    assert gradient @ y == pytest.approx(0, abs=1e-4 * float(jnp.linalg.norm(gradient) * jnp.linalg.norm(y)))
    np.testing.assert_allclose(loss.feature(0 * x), np.broadcast_to(np.arange(1, 1026) / 1025, (4, 1025)), rtol=1e-5)


def test_losses_that_accumulate_grow_with_the_distance_of_two_tones():
    tone = lambda hertz: jnp.float32(np.sin(2 * np.pi * hertz * np.arange(8000) / 44100))  # noqa: E731
    tones = [tone(hertz) for hertz in (400, 500, 800, 1600, 3200, 6400)]
    for loss in (L1_Spec(), Marginals(), CumulativeEnergy(), CumulativeEnergy(log=True), SOT_Spec()):
        values = np.array([between(loss, tones[0])(tone) for tone in tones])
        assert (np.diff(values) > 0).all()
        assert (values[-1] / values[-3] > 1.2) == (not isinstance(loss, L1_Spec)), "it no longer feels the way"


# Joint scattering


@pytest.mark.parametrize("order", [1, 2])
def test_jtfs_is_a_mean_over_all_coefficients_and_random_paths_estimate_it(order, rng):
    """Values and gradients of 600 draws: their mean is that of all paths, and they scatter less where likely paths are
    those that differ most."""
    loss = JTFS(JointScattering(J=4, Q=(2, 1), J_fr=1), order=order)
    with jax.enable_x64(True):
        x, y, *others = (jnp.asarray(z[:300], float) for z in sounds(rng, 8, np.float64))
        a, b = loss.feature(x), loss.feature(y)
        value, gradient = value_and_grad(loss, x, y)
        assert value == pytest.approx(np.mean(np.abs(np.asarray(a) - np.asarray(b)) ** order), rel=1e-9)
        likely = loss.weighted(
            *(jnp.stack([loss.feature(z) for z in some]) for some in ((x, *others), (y, *others[::-1])))
        )
        scatter = []
        for one in (replace(loss, paths=3), replace(likely, paths=3)):
            drawn = jax.jit(jax.value_and_grad(one.estimate, argnums=1))
            keys = jax.random.split(jax.random.key(1), 600)
            values, gradients = jax.lax.map(lambda key, drawn=drawn: drawn(a, y, key), keys)
            assert abs(values.mean() - value) < 4 * values.std() / np.sqrt(600)
            along = gradients @ gradient / jnp.linalg.norm(gradient)
            assert abs(along.mean() - jnp.linalg.norm(gradient)) < 4 * along.std() / np.sqrt(600)
            scatter.append([values.std(), along.std()])
    assert np.min(np.divide(*scatter)) > 1.2, "importance has to help"


def test_an_estimate_needs_a_number_of_paths(rng):
    x, y = sounds(rng)
    loss = CONTRACT["JTFS"]
    with pytest.raises(ValueError, match="paths is None"):
        loss.estimate(loss.feature(x), y, jax.random.key(0))
    with pytest.raises(ValueError, match="equal, or not finite"):
        loss.weighted(*2 * [loss.feature(x)[None]])


# Several resolutions, several noises


def test_mss_spec_is_librosas(rng):
    x, y = (np.tile(z, 3) for z in sounds(rng))
    expected = 0.0
    for n in (2048, 1024, 512, 256, 128, 64):
        window = np.hanning(n)
        settings = {"n_fft": n, "hop_length": n // 4, "window": window, "pad_mode": "reflect"}
        a, b = (np.abs(librosa.stft(z, **settings)) / np.linalg.norm(window) for z in (x, y))
        expected += np.abs(a - b).mean() + np.abs(np.log(a + 1e-5) - np.log(b + 1e-5)).mean()
    assert between(MSS_Spec(), x)(y) == pytest.approx(expected, rel=1e-4)  # float32


def test_averaged_is_the_mean_feature_over_noises():
    """The mean spectrogram of 64 noises is nearer to that of 64 others than one noise is, by a factor of 8."""
    loss = Averaged(L1_Spec())
    theta = bp_noise.space.theta({"lp_cut": 800, "hp_cut": 50})
    many, other = bp_noise.noises(64)(theta), jnp.stack([bp_noise.with_noise(theta, 64 + k) for k in range(64)])
    by_hand = np.mean([L1_Spec().feature(sound) for sound in many], axis=0)
    np.testing.assert_allclose(loss.feature(many), by_hand, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(many[0], bp_noise(theta), atol=1e-6)
    far, near = (loss.distance(loss.feature(some), loss.feature(other[:n])) for n, some in ((1, many[0]), (64, many)))
    assert float(near / far) == pytest.approx(1 / 8, rel=0.1)


def test_noises_are_counted_and_refused():
    with pytest.raises(ValueError, match="k is 0"):
        bp_noise.noises(0)
    assert (bp_noise.noises(3).name, bp_noise.noises(3).num_samples) == ("bp_noise", 44100)


# Mel


def log_mel_of_librosa(x):
    spectrum = librosa.stft(x, n_fft=2048, hop_length=512, window=np.hanning(2048), pad_mode="reflect")
    bank = librosa.filters.mel(sr=44100, n_fft=2048, n_mels=64, fmin=20, fmax=22050, htk=True, norm=None)
    return np.log(bank @ (np.abs(spectrum) / np.linalg.norm(np.hanning(2048))) + 1e-5)


def test_log_mel_is_librosas(rng):
    x, y = (np.tile(z, 3) for z in sounds(rng))
    a, b = log_mel_of_librosa(x), log_mel_of_librosa(y)
    np.testing.assert_allclose(LogMel().feature(x), a.T, rtol=1e-3, atol=1e-4)
    assert between(LogMel(), x)(y) == pytest.approx(np.abs(a - b).mean(), rel=1e-4)


def test_mfcc_spec_is_librosas(rng):
    x, y = (np.tile(z, 3) for z in sounds(rng))
    a, b = (librosa.feature.mfcc(S=log_mel_of_librosa(z), n_mfcc=21)[1:] for z in (x, y))
    np.testing.assert_allclose(MFCC_Spec().feature(x), a.T, rtol=1e-3, atol=1e-3)
    assert between(MFCC_Spec(), x)(y) == pytest.approx(np.abs(a - b).mean(), rel=1e-4)
    assert between(MFCC_Spec(), x)(x / 8) < 1e-3 * between(LogMel(), x)(x / 8)


# Sums and settings


def test_a_sum_is_its_terms(rng):
    x, y = sounds(rng)
    losses, scales, floors = (L1_Spec(), DTW_Envelope()), (0.5, 1e4), (0.0, -700.0)
    expected = sum(
        (between(loss, x)(y) - floor) / scale for loss, scale, floor in zip(losses, scales, floors, strict=True)
    )
    assert between(Sum(losses, scales, floors), x)(y) == pytest.approx(float(expected), rel=1e-6)
    assert Sum(losses, scales).sample_rate is None


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (Marginals, {"n_bands": 1}, "n_bands is 1"),
        (Marginals, {"hop_length": 0}, "hop_length is 0"),
        (Marginals, {"knee": 0}, "knee is 0"),
        (CumulativeEnergy, {"floor": 0}, "floor is 0"),
        (CumulativeEnergy, {"epsilon": 0}, "epsilon is 0"),
        (SOT_Spec, {"order": 0.5}, "order is 0.5"),
        (SOT_Spec, {"epsilon": 0}, "epsilon 0"),
        (LogMel, {"f_min": 30_000}, "f_min is 30000"),
        (LogMel, {"n_mels": 0}, "n_mels 0"),
        (MFCC_Spec, {"n_coefficients": 64}, "n_coefficients is 64"),
        (MSS_Spec, {"stfts": ()}, "at least one"),
        (MSS_Spec, {"epsilon": 0}, "epsilon 0"),
        (JTFS, {"order": 3}, "order is 3"),
        (JTFS, {"paths": 0}, "paths is 0"),
        (JTFS, {"importance": (0.5, 0.5)}, "importance has 2 numbers from 0.5 that add up to 1.0"),
        (Sum, {"losses": (), "scales": ()}, "0 losses"),
        (Sum, {"losses": (L1_Spec(),), "scales": (1.0, 2.0)}, "1 losses, 2 scales"),
        (Sum, {"losses": (L1_Spec(),), "scales": (0.0,)}, "scales are"),
        (Sum, {"losses": (LogMel(), LogMel(sample_rate=48000)), "scales": (1, 1)}, "44100, 48000 Hz"),
    ],
)
def test_wrong_settings_are_refused(kind, settings, words):
    with pytest.raises(ValueError, match=words):
        kind(**settings)


# Soft-DTW


def numpy_soft_dtw(cost, gamma):
    n, m = cost.shape
    R = np.full((n + 1, m + 1), np.inf)
    R[0, 0] = 0
    for i in range(n):
        for j in range(m):
            entries = np.array([R[i, j], R[i, j + 1], R[i + 1, j]])
            least = entries.min()
            R[i + 1, j + 1] = cost[i, j] + least - (gamma * np.log(np.exp((least - entries) / gamma).sum()))
    return R[n, m]


@pytest.mark.parametrize(
    ("shape", "gamma"), [((1, 1), 1), ((1, 6), 1), ((6, 1), 30), ((5, 9), 30), ((9, 5), 1e-3), ((40, 40), 1)]
)
def test_soft_dtw_is_the_double_loop(shape, gamma, rng):
    with jax.enable_x64(True):
        cost = rng.exponential(size=shape)
        value, alignment = jax.jit(jax.value_and_grad(soft_dtw), static_argnums=1)(cost, gamma)
        assert value == pytest.approx(numpy_soft_dtw(cost, gamma), rel=1e-12)
        assert alignment.shape == shape
        assert alignment[0, 0] == pytest.approx(1)
        assert alignment[-1, -1] == pytest.approx(1)
        assert max(shape) - 1e-9 <= alignment.sum() <= sum(shape) - 1 + 1e-9
        for i, j in zip(rng.integers(shape[0], size=5), rng.integers(shape[1], size=5), strict=True):
            h = 1e-6
            bump = np.zeros(shape)
            bump[i, j] = h
            slope = (numpy_soft_dtw(cost + bump, gamma) - numpy_soft_dtw(cost - bump, gamma)) / (2 * h)
            assert alignment[i, j] == pytest.approx(slope, abs=1e-7)


@pytest.mark.filterwarnings("ignore:JAXopt:DeprecationWarning")
def test_soft_dtw_is_ott(rng):
    from ott.geometry.costs import SoftDTW

    a, b = jnp.asarray(rng.normal(size=(2, 50)), jnp.float32)
    loss = DTW_Envelope(gamma=0.8)
    oracle = jax.jit(jax.value_and_grad(SoftDTW(0.8), 1))(a, b)
    value, gradient = jax.jit(jax.value_and_grad(loss.distance, 1))(a, b)
    np.testing.assert_allclose(value, oracle[0], rtol=1e-5)
    np.testing.assert_allclose(gradient, oracle[1], atol=1e-4 * float(jnp.abs(oracle[1]).max()))


def test_soft_dtw_in_single_precision(rng):
    """From a perfect match (negative) to costs so large that sums round by more than γ."""
    a = rng.normal(size=100)
    value_and_grad = jax.jit(jax.value_and_grad(soft_dtw), static_argnums=1)
    for scale in (0, 1e-3, 1, 1e3):
        cost = (scale * (a[:, None] - a[::-1])) ** 2
        value, alignment = value_and_grad(jnp.asarray(cost, jnp.float32), 1.0)
        assert value == pytest.approx(numpy_soft_dtw(cost, 1.0), rel=1e-5)
        assert jnp.isfinite(alignment).all()
        assert alignment.min() >= 0
        assert alignment.max() <= 1 + 1e-4
    assert soft_dtw(jnp.zeros((441, 441)), 1.0) < -700


def test_soft_dtw_has_no_memory_of_phase_but_of_rate():
    """Envelopes of one rate and two phases are far closer than envelopes of two rates."""
    time = jnp.linspace(0, 1, 200)
    wave = lambda rate, phase: 5 * jnp.sin(2 * jnp.pi * rate * time + phase)  # noqa: E731
    distance = DTW_Envelope(gamma=0.01).distance
    assert distance(wave(4, 0), wave(4, 0.8)) < 0.3 * distance(wave(4, 0), wave(7, 0))
    assert L1_Spec().distance(wave(4, 0)[None], wave(4, 0.8)[None]) > 1


def test_dtw_envelope_refuses_gamma_zero():
    with pytest.raises(ValueError, match="gamma is 0"):
        DTW_Envelope(gamma=0)
