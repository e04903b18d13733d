"""Searches on functions whose minima are known, against SciPy, and an atlas against what can be counted by hand."""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import least_squares, lsq_linear
from scipy.stats import qmc

from sonimatch import CMA_ES, LES, Atlas, LevenbergMarquardt, ParamSpace, Race
from sonimatch import match as search_for
from sonimatch.atlas import _sketch
from sonimatch.search.race import spread
from sonimatch.search.race_from import RaceFrom


@dataclass(frozen=True)
class Made:
    """A synthesizer whose sound is a matrix times theta, or the residual of Rosenbrock's valley, or broken."""

    matrix: tuple[tuple[float, ...], ...] = ((1.0, 0.9), (0.2, 0.5), (0.0, 0.3))
    valley: bool = False
    broken: bool = False
    step: float = 0.0
    name: str = "made"
    sample_rate: int = 8_000

    @property
    def num_samples(self):
        return 2 if self.valley else len(self.matrix)

    @property
    def space(self):
        size = len(self.matrix[0])
        names, ends = tuple("abcdef"[:size]), ((0.0,) * size, (1.0,) * size)
        steps = ((self.step,) * size, (True,) * size) if self.step else ()
        return ParamSpace(names, *ends, ("linear",) * size, ("",) * size, (0.5,) * size, *steps)

    def __call__(self, theta):
        theta = self.space.to_physical(theta)
        if self.valley:
            x, y = 4 * theta - 2
            return jnp.stack([10 * (y - x**2), 1 - x])
        return jnp.asarray(self.matrix, theta.dtype) @ theta * (jnp.nan if self.broken else 1)


@dataclass(frozen=True)
class Squares:
    name: str = "squares"
    sample_rate: int | None = None

    def feature(self, audio):
        return audio

    def distance(self, a, b):
        return ((a - b) ** 2).sum()


MADE, VALLEY = Made(), Made(valley=True)
THREE = Made(matrix=((1.0, 0.8, 0.1), (0.3, 1.0, 0.4), (0.0, 0.2, 0.7), (0.5, 0.5, 0.5)))
match = partial(search_for, progress=False)  # whose bar cuts a search into blocks, each of which is compiled
STARTS = jnp.array([[0.9, 0.1], [0.0, 1.0], [0.31, 0.8]])


# ------------------------------------------------------------------------------------------- Levenberg–Marquardt


@pytest.mark.parametrize("start", [[0.1, 0.9], [0.9, 0.2], [0.5, 0.5]])
def test_levenberg_marquardt_finds_what_scipy_finds(start):
    """Along a curved valley, inside; single precision leaves 1e-4 of the range."""
    residual = lambda theta: (lambda x, y: np.array([10 * (y - x**2), 1 - x]))(*(4 * theta - 2))  # noqa: E731
    wanted = least_squares(residual, start, bounds=(0, 1), xtol=1e-12, ftol=1e-12, gtol=1e-12).x
    search = LevenbergMarquardt(tolerance=1e-5)
    found = match(VALLEY, Squares(), jnp.zeros(2), search, evaluations=3 * 40, init=jnp.array(start))
    np.testing.assert_allclose(wanted, [0.75, 0.75], atol=1e-6)
    np.testing.assert_allclose(found.theta_best, wanted, atol=1e-4)


@pytest.mark.parametrize("synth", [MADE, THREE], ids=["two", "three"])
def test_levenberg_marquardt_stops_at_the_walls_that_hold_it(synth, rng):
    """Targets out of reach: the answer of SciPy's bounded linear least squares, which walks active sets."""
    held = 0
    for _ in range(6):
        target = rng.normal(0.5, 1.5, synth.num_samples).astype(np.float32)
        wanted = lsq_linear(np.array(synth.matrix), target, (0, 1), method="bvls").x
        search, size = LevenbergMarquardt(tolerance=1e-5), len(synth.space)
        found = match(synth, Squares(), target, search, 30 * (1 + size), init=jnp.full(size, 0.5))
        np.testing.assert_allclose(found.theta_best, wanted, atol=2e-3)  # flat there: a part in 10⁵ of the value
        held += ((wanted < 1e-6) | (wanted > 1 - 1e-6)).sum()
    assert held > 3


def test_a_linear_residual_takes_a_step_and_records_its_slope():
    """Where damping is small, Gauss and Newton's step lands at the answer, to a hundredth of the way; the gradient is
    that of half the mean square."""
    truth, start = np.array([0.3, 0.6]), np.array([0.8, 0.2])
    found = match(MADE, Squares(), MADE(jnp.array(truth)), LevenbergMarquardt(damping=1e-4), steps=1, init=start)
    matrix = np.array(MADE.matrix)
    gradient = matrix.T @ (matrix @ (start - truth)) / 3
    assert float(found.trajectory.grad_norm[0]) == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
    assert float(found.trajectory.value[0]) == pytest.approx(np.sum((matrix @ (start - truth)) ** 2), rel=1e-5)
    np.testing.assert_allclose(found.trajectory.theta[1], truth, atol=5e-3)


def test_a_step_that_fails_is_shortened_and_one_that_rests_begins_again():
    path = match(VALLEY, Squares(), jnp.zeros(2), LevenbergMarquardt(), steps=40, init=STARTS[0]).trajectory
    theta, value = np.asarray(path.theta), np.asarray(path.value)
    assert ((theta >= 0) & (theta <= 1)).all()
    home = np.abs(theta - 0.75).max(1) < 3e-3
    away = np.abs(theta - 0.75).max(1) > 0.1
    assert (home[:-1] & away[1:]).any()
    assert value[0] > value.min() * 100


def test_levenberg_marquardt_leaves_what_is_not_finite():
    result = match(replace(MADE, broken=True), Squares(), MADE(jnp.ones(2)), LevenbergMarquardt(), 60, init=STARTS)
    assert not result.ok.any()
    np.testing.assert_array_equal(result.theta_best, STARTS)
    assert len(np.unique(result.trajectory.theta[0, :, 0])) > 10  # it looks elsewhere


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (LevenbergMarquardt, {"damping": 0.0}, "damping is 0"),
        (LevenbergMarquardt, {"tolerance": -1.0}, "tolerance is -1"),
        (CMA_ES, {"population": 1}, "population is 1; it must be at least 2"),
        (CMA_ES, {"std": 0.0}, "std is 0"),
        (LES, {"tolerance": 0.0}, "tolerance is 0"),
        (LES, {"screen": 0}, "screen is 0"),
        (RaceFrom, {"points": ((0.5, 1.5),)}, "each coordinate must be from 0 to 1"),
    ],
)
def test_wrong_settings_are_refused(kind, settings, words):
    with pytest.raises(ValueError, match=words):
        kind(**settings)


# ------------------------------------------------------------------------------------------- evolution strategies


def test_cma_es_follows_a_curved_valley():
    """Rosenbrock's, from three starts: within 0.02 of the range after 400 points, as its author's code does."""
    found = match(VALLEY, Squares(), jnp.zeros(2), CMA_ES(), 600, init=STARTS)
    np.testing.assert_allclose(found.theta_best, [[0.75, 0.75]] * 3, atol=0.02)


@pytest.mark.parametrize("kind", [CMA_ES, LES])
def test_strategies_draw_around_the_start_and_repeat_by_the_key(kind):
    def path(seed, search):
        return np.asarray(match(MADE, Squares(), jnp.ones(3), search, 91, init=STARTS[2], key=seed).trajectory.theta)

    first, again, other = (path(jax.random.key(seed), kind()) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first[1:7] != other[1:7]).all()
    narrow = path(jax.random.key(1), kind(std=0.01))[1:7]  # the first generation: six points for two parameters
    assert 1e-3 < np.abs(narrow - STARTS[2]).max() < 0.05
    folded = path(jax.random.key(1), kind(std=3.0))[1:]
    assert ((folded >= 0) & (folded <= 1)).all()
    assert ((folded > 0.01) & (folded < 0.99)).mean() > 0.9  # reflected, not gathered at the walls


def test_a_strategy_may_be_screened():
    found = match(MADE, Squares(), MADE(jnp.array([0.7, 0.2])), CMA_ES(screen=16, std=0.01), 22, init=STARTS[0])
    theta, value = np.asarray(found.trajectory.theta), np.asarray(found.trajectory.value)
    sobol = qmc.Sobol(2, scramble=False).random(16)[1:]
    np.testing.assert_allclose(theta[:16], np.vstack([STARTS[0], sobol]), atol=2e-6)
    assert np.abs(theta[16:] - theta[value[:16].argmin()]).max() < 0.05


def test_without_evosax_it_is_named(monkeypatch):
    import sys

    from sonimatch.search import evolution

    monkeypatch.setitem(sys.modules, "evosax", None)
    evolution._strategy.cache_clear()
    with pytest.raises(ModuleNotFoundError, match=r"need the package evosax .*sonimatch\[evolution\]"):
        match(MADE, Squares(), jnp.ones(3), CMA_ES(), 20)


@pytest.mark.parametrize("search", [CMA_ES(), LES()], ids=lambda search: search.name)
def test_strategies_move_on_the_grid_of_quantised_parameters(search):
    synth = Made(step=0.125)
    found = match(synth, Squares(), synth(jnp.array([0.25, 0.875])), search, 97, init=jnp.array([0.5, 0.5]))
    np.testing.assert_allclose(found.trajectory.theta * 8, np.rint(np.asarray(found.trajectory.theta) * 8), atol=1e-5)
    np.testing.assert_allclose(found.theta_best, [0.25, 0.875])


def test_slopes_are_refused_where_there_are_none():
    with pytest.raises(ValueError, match="LevenbergMarquardt follows gradients, and a, b of made has none"):
        match(Made(step=0.125), Squares(), jnp.ones(3), LevenbergMarquardt())


# ------------------------------------------------------------------------------------------------------- an atlas


def test_a_race_from_points_looks_at_them_first():
    points = ((0.2, 0.9), (0.4, 0.3))
    search = RaceFrom(points=points, screen=3)
    seen = next(search.asks(np.array([0.5, 0.6]), np.random.default_rng(0)))
    np.testing.assert_allclose(seen, [[0.5, 0.6], *points, *spread(np.zeros(2), 3)[1:]], atol=2e-6)
    assert hash(search) == hash(replace(search))
    assert Race().screen == len(next(Race().asks(np.array([0.5, 0.6]), np.random.default_rng(0))))


@pytest.mark.parametrize("shape", [(100_000,), (60, 700)])
def test_sketches_keep_distances(shape, rng):
    """Within 15 %, four standard deviations of 1/√512 √2, of arrays that are noise, a few lines, or cumulative; an
    array of 512 numbers or less is kept as it is."""
    noise = rng.normal(size=(6, *shape)).astype(np.float32)
    lines = np.zeros_like(noise)
    lines.reshape(6, -1)[:, rng.integers(0, noise[0].size, 40)] = rng.normal(size=(6, 40))
    for arrays in (noise, lines, np.cumsum(noise, axis=-1)):
        sketches = np.stack([np.asarray(_sketch(jnp.asarray(array), 0)) for array in arrays])
        assert sketches.shape == (6, 512)
        for i, j in zip(*np.triu_indices(6, 1), strict=True):
            wanted = np.linalg.norm(arrays[i] - arrays[j])
            assert np.linalg.norm(sketches[i] - sketches[j]) == pytest.approx(wanted, rel=0.25)
    short = noise[0].ravel()[:512]
    np.testing.assert_array_equal(_sketch(jnp.asarray(short), 0), short)


def test_the_nearest_candidates_are_the_nearest(tmp_path, rng):
    atlas = Atlas.of(MADE, Squares(), 200, folder=tmp_path)
    assert atlas.theta.shape == (200, 2)
    sounds = atlas.theta @ np.array(MADE.matrix).T
    for target in sounds.mean(0) + rng.normal(size=(5, 3)):
        order = np.argsort(np.linalg.norm(sounds - target, axis=1))
        near = atlas.nearest(target.astype(np.float32), 4, gap=0.0)
        np.testing.assert_allclose(near, atlas.theta[order[:4]])
        some = atlas.nearest(target.astype(np.float32), 4, gap=0.2)
        np.testing.assert_allclose(some[0], near[0])
        assert all(np.abs(some[i] - some[j]).max() >= 0.2 for i in range(4) for j in range(i))
    with pytest.raises(ValueError, match=r"target must have shape \(3,\), not \(4,\)"):
        atlas.nearest(np.zeros(4))


def test_an_atlas_is_drawn_once_and_again_where_it_is_damaged(tmp_path):
    rendered = []

    @dataclass(frozen=True)
    class Counted(Made):
        def __call__(self, theta):
            jax.debug.callback(lambda: rendered.append(1))
            return super().__call__(theta)

    def renderings(*settings, synth=Counted()):
        rendered.clear()
        atlas = Atlas.of(synth, *settings, folder=tmp_path)
        jax.effects_barrier()
        return len(rendered), atlas

    first, atlas = renderings(Squares(), 64)
    again, same = renderings(Squares(), 64)
    assert (first, again) == (64, 0)
    np.testing.assert_array_equal(atlas.sketches, same.sketches)
    for other in ((Squares(name="other"), 64), (Squares(), 128)):
        assert renderings(*other)[0] == other[1]
    assert renderings(Squares(), 64, synth=Counted(step=0.25))[0] == 64
    files = sorted(tmp_path.iterdir())
    assert len(files) == 4
    assert all(file.suffix == ".npz" for file in files)
    for file in files:
        file.write_bytes(file.read_bytes()[:500])
    assert renderings(Squares(), 64)[0] == 64
    assert renderings(Squares(), 64)[0] == 0
    rendered.clear()
    found = atlas.match(np.asarray(MADE(jnp.array([0.31, 0.62]))), 40, progress=False)
    jax.effects_barrier()
    assert len(rendered) == found.evaluations == 40
    np.testing.assert_allclose(found.theta_best, [0.31, 0.62], atol=0.01)


def test_an_atlas_passes_by_what_is_not_finite(tmp_path):
    @dataclass(frozen=True)
    class Half(Made):
        def __call__(self, theta):
            return jnp.where(theta[0] > 0.5, jnp.nan, 1.0) * super().__call__(theta)

    atlas = Atlas.of(Half(), Squares(), 64, folder=tmp_path)
    near = atlas.nearest(MADE(jnp.array([0.9, 0.5])), 8)
    assert (near[:, 0] <= 0.5).all()


def test_wrong_atlases_are_refused(tmp_path):
    with pytest.raises(ValueError, match="candidates is 1; it must be at least 2"):
        Atlas.of(MADE, Squares(), 1, folder=tmp_path)
    with pytest.raises(ValueError, match="squares works at 44100 Hz but made at 8000 Hz"):
        Atlas.of(MADE, Squares(sample_rate=44_100), folder=tmp_path)
    with pytest.raises(ValueError, match="made has no parameter to match"):
        Atlas.of(Made(matrix=((),)), Squares(), folder=tmp_path)


def test_an_atlas_lies_in_the_cache_of_the_user(tmp_path, monkeypatch):
    for name in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    Atlas.of(MADE, Squares(), 64)
    (file,) = tmp_path.rglob("made-squares-*.npz")
    assert file.parent.name == "atlas"
