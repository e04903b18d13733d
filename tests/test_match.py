"""The loop and its search, against a hand-written NumPy loop, and what it does when things go wrong."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sonimatch import (
    PAPER_LOSSES,
    SEARCHES,
    L1_Spec,
    Marginals,
    ParamSpace,
    Race,
    RMSProp,
    bp_noise,
    landscape,
    match,
    noise_am,
)
from sonimatch.search import rmsprop
from sonimatch.types import Asking, Search, Stepping


@dataclass(frozen=True)
class Ramp:
    """A synthesizer that needs no compiler: two numbers, spread over the samples."""

    name: str = "ramp"
    sample_rate: int = 8_000
    num_samples: int = 64
    broken_above: float = 2.0

    @property
    def space(self):
        return ParamSpace(("a", "b"), (0.0, 0.0), (1.0, 1.0), ("linear",) * 2, ("",) * 2, (0.5, 0.5))

    def __call__(self, theta):
        t = jnp.linspace(-1, 1, self.num_samples)
        return jnp.where(theta[0] > self.broken_above, jnp.nan, 1.0) * (theta[0] * t + theta[1])


@dataclass(frozen=True)
class Square:
    name: str = "square"
    sample_rate: int | None = None

    def feature(self, audio):
        return audio

    def distance(self, a, b):
        return jnp.mean((a - b) ** 2)


TARGET = Ramp()(jnp.array([0.3, 0.8]))


def numpy_rmsprop(theta, steps, learning_rate=0.045, clip_norm=1.0, decay=0.9, eps=1e-8):
    """The published method written out, with the gradient of `Square` over `Ramp` in closed form."""
    t = np.linspace(-1, 1, 64)
    nu, memory, path = 2 * np.asarray(theta, float) - 1, np.zeros(2), []
    for _ in range(steps + 1):
        a, b = (nu + 1) / 2
        difference = (a - 0.3) * t + (b - 0.8)
        gradient = np.array([np.mean(difference * t), np.mean(difference)])  # by nu, half of that by theta
        path.append(((nu + 1) / 2, np.mean(difference**2), np.linalg.norm(gradient)))
        gradient = gradient * min(1, clip_norm / np.linalg.norm(gradient))
        memory = decay * memory + (1 - decay) * gradient**2
        nu = nu - learning_rate * gradient / np.sqrt(memory + eps)
    return [np.array(series) for series in zip(*path, strict=True)]


@pytest.mark.told_start
@pytest.mark.parametrize("clip_norm", [1.0, 0.01])
@pytest.mark.parametrize("steps", [0, 1, 37, 90])
def test_match_follows_the_published_method(steps, clip_norm):
    """Both in double: until it rattles about the minimum, from step 100 on, the two agree to 1e-6."""
    start = np.array([0.9, 0.1])
    with jax.enable_x64(True):
        target = Ramp()(jnp.array([0.3, 0.8]))
        result = match(Ramp(), Square(), target, RMSProp(clip_norm=clip_norm), steps=steps, init=start)
    theta, value, grad_norm = numpy_rmsprop(start, steps, clip_norm=clip_norm)
    assert result.trajectory.theta.shape == (steps + 1, 2)
    np.testing.assert_allclose(result.trajectory.theta, theta, atol=1e-6)
    np.testing.assert_allclose(result.trajectory.value, value, atol=1e-6)
    np.testing.assert_allclose(result.trajectory.grad_norm, grad_norm, atol=1e-6)
    assert bool(result.ok)


def test_the_first_step_has_the_same_length_whatever_the_gradient():
    state = RMSProp().init(jnp.array([0.5, 0.5]), jax.random.key(0))
    for scale in (0.1, 1.0, 1e3):
        after, _ = RMSProp().step(state, lambda theta, scale=scale: scale * theta.sum(), jax.random.key(0))
        np.testing.assert_allclose(after[0] - state[0], -0.045 / np.sqrt(0.1), rtol=1e-3)


def test_the_update_is_optax():
    assert isinstance(RMSProp()._update, optax.GradientTransformation)
    assert rmsprop.optax is optax


def test_the_best_point_is_the_best_of_the_trajectory():
    result = match(Ramp(), Square(), TARGET, RMSProp(), steps=60, init=jnp.array([0.9, 0.1]))
    best = int(np.argmin(result.trajectory.value))
    assert result.value_best == result.trajectory.value[best]
    np.testing.assert_array_equal(result.theta_best, result.trajectory.theta[best])


def test_many_starts_are_as_many_matches():
    starts = jax.random.uniform(jax.random.key(5), (5, 2))
    batch = match(Ramp(), Square(), TARGET, RMSProp(), steps=20, init=starts)
    assert batch.trajectory.theta.shape == (5, 21, 2)
    assert batch.ok.shape == (5,)
    for i, start in enumerate(starts):
        alone = match(Ramp(), Square(), TARGET, RMSProp(), steps=20, init=start)
        np.testing.assert_allclose(batch.trajectory.theta[i], alone.trajectory.theta, atol=1e-6)


def test_the_random_start_comes_from_the_key():
    draws = [match(Ramp(), Square(), TARGET, steps=0, key=jax.random.key(seed)) for seed in (1, 1, 2)]
    first = [np.asarray(draw.trajectory.theta[0]) for draw in draws]
    np.testing.assert_array_equal(first[0], first[1])
    assert (first[0] != first[2]).all()


@pytest.mark.parametrize("search", [RMSProp(), Race()], ids=lambda search: search.name)
@pytest.mark.parametrize("progress", [True, False])
def test_the_progress_bar_changes_nothing(progress, search):
    result = match(Ramp(), Square(), TARGET, search, steps=43, init=jnp.array([0.9, 0.1]), progress=progress)
    reference = match(Ramp(), Square(), TARGET, search, steps=43, init=jnp.array([0.9, 0.1]), progress=not progress)
    np.testing.assert_allclose(result.trajectory.theta, reference.trajectory.theta, atol=1e-6)


def test_unbounded_leaves_the_range_and_bounded_does_not():
    """Past the end the synthesizer rests and its gradient is zero: no way back, as published."""
    start, target = jnp.array([0.5, 0.98]), Ramp()(jnp.array([0.5, 1.0]))

    @dataclass(frozen=True)
    class Clipped(Ramp):
        def __call__(self, theta):
            return super().__call__(self.space.to_physical(theta))

    free = match(Clipped(), Square(), target, RMSProp(), steps=50, init=start)
    bounded = match(Clipped(), Square(), target, RMSProp(bounded=True), steps=50, init=start)
    assert free.trajectory.theta[-1, 1] > 1.0
    assert bounded.trajectory.theta.max() <= 1.0
    assert bounded.trajectory.theta.min() >= 0.0


@pytest.mark.told_start
def test_a_trial_that_breaks_is_flagged_and_poisons_nobody():
    """Where the sound is NaN the search stays, the best finite point is kept, and the neighbour does not notice."""
    synth = Ramp(broken_above=0.5)
    starts = jnp.array([[0.9, 0.1], [0.2, 0.1], [0.45, 0.5]])
    target = Ramp()(jnp.array([0.7, 0.8]))
    result = match(synth, Square(), target, RMSProp(), steps=60, init=starts)
    alone = match(synth, Square(), target, RMSProp(), steps=60, init=starts[1])
    assert not result.ok[0]
    assert np.isnan(result.value_best[0])
    np.testing.assert_allclose(result.theta_best[0], starts[0], rtol=1e-6)
    np.testing.assert_allclose(result.trajectory.theta[1], alone.trajectory.theta, atol=1e-6)
    assert np.isfinite(result.value_best[1:]).all()
    assert np.isfinite(result.theta_best).all()


@pytest.mark.parametrize("loss", [*PAPER_LOSSES, Marginals()], ids=lambda loss: loss.name)
def test_a_true_start_stays_near_and_a_near_start_comes_home(loss):
    """Every loss finds the cut-off of BP-Noise from a start beside it; 200 steps of 0.045 end within 0.03."""
    truth = jnp.array([0.4, 0.6])
    result = match(bp_noise, loss, bp_noise(truth), RMSProp(), steps=60, init=truth + jnp.array([0.08, -0.05]))
    assert bool(result.ok)
    assert result.value_best < result.trajectory.value[0]
    assert abs(float(result.theta_best[0]) - 0.4) < 0.03


def test_silence_as_a_target_is_finite():
    result = match(noise_am, L1_Spec(), jnp.zeros(noise_am.num_samples), steps=5, init=jnp.array([0.5, 0.5]))
    assert bool(result.ok)


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.name)
def test_every_search_keeps_the_contract(search):
    assert isinstance(search, Search)
    assert isinstance(search, Stepping) != isinstance(search, Asking)
    assert hash(search) == hash(replace(search))
    result = match(Ramp(), Square(), TARGET, search, steps=200, init=jnp.array([0.9, 0.1]))
    assert result.trajectory.theta.shape == (201, 2)
    np.testing.assert_allclose(result.trajectory.theta[0], [0.9, 0.1], atol=2e-6)
    assert result.evaluations == 201 * search.cost(2)
    assert result.value_best < 0.05 * result.trajectory.value[0]
    assert bool(result.ok)


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.name)
def test_the_budget_is_counted_strictly(search):
    """Every rendering is counted, by the synthesizer itself."""
    rendered = []

    @dataclass(frozen=True)
    class Counted(Ramp):
        def __call__(self, theta):
            jax.debug.callback(lambda: rendered.append(1))
            return super().__call__(theta)

    found = match(Counted(), Square(), TARGET, search, 100, init=jnp.array([0.9, 0.1]), progress=False)
    jax.effects_barrier()
    assert len(rendered) == len(found.trajectory.value)
    assert found.evaluations == len(rendered) * search.cost(2) <= 100 < found.evaluations + search.cost(2)


@pytest.mark.parametrize("search", [search for search in SEARCHES if isinstance(search, Asking)], ids=lambda s: s.name)
def test_searches_that_ask_stay_inside_and_are_the_same_in_company(search):
    starts = jnp.array([[0.9, 0.1], [0.0, 1.0], [0.31, 0.8]])
    for target in (TARGET, Ramp()(jnp.array([1.4, -0.2]))):  # the second is out of reach: best at a corner
        batch = match(Ramp(), Square(), target, search, 400, init=starts)
        theta = np.asarray(batch.trajectory.theta)
        assert ((theta >= 0) & (theta <= 1)).all()
        alone = match(Ramp(), Square(), target, search, 400, init=starts[:1])
        np.testing.assert_allclose(theta[:1], alone.trajectory.theta, atol=1e-6)
    np.testing.assert_allclose(batch.theta_best, [[1.0, 0.0]] * 3, atol=0.02)


@pytest.mark.parametrize("search", [search for search in SEARCHES if isinstance(search, Asking)], ids=lambda s: s.name)
def test_searches_that_ask_pass_by_what_is_not_finite(search):
    result = match(Ramp(broken_above=0.4), Square(), TARGET, search, 800, init=jnp.array([0.9, 0.1]))
    assert not result.ok
    np.testing.assert_allclose(result.theta_best, [0.3, 0.8], atol=0.02)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be positive, not 0"),
        ({"clip_norm": -1.0}, "clip_norm must be positive or None, not -1"),
        ({"decay": 1.0}, "decay must be in .0, 1., not 1"),
    ],
)
def test_wrong_searches_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        RMSProp(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"screen": 0}, "screen is 0"),
        ({"polish": 0}, "polish is 0"),
        ({"rounds": ()}, "rounds is"),
        ({"rematch": ((3, 0),)}, "rematch is"),
        ({"scans": ((8, 1.5),)}, "scans is"),
        ({"edge": 0.0}, "edge is 0"),
        ({"gap": -0.1}, "gap -0.1"),
    ],
)
def test_wrong_races_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Race(**settings)


def test_a_race_over_one_parameter():
    @dataclass(frozen=True)
    class Level(Ramp):
        @property
        def space(self):
            return ParamSpace(("a",), (0.0,), (1.0,), ("linear",), ("",), (0.5,))

        def __call__(self, theta):
            return theta[0] * jnp.ones(self.num_samples)

    found = match(Level(), Square(), Level()(jnp.array([0.7])), evaluations=80)
    assert float(found.theta_best[0]) == pytest.approx(0.7, abs=1e-3)


def test_wrong_problems_are_refused():
    with pytest.raises(ValueError, match=r"target must have shape \(64,\) for ramp, not \(63,\)"):
        match(Ramp(), Square(), TARGET[1:])
    with pytest.raises(ValueError, match="square works at 44100 Hz but ramp at 8000 Hz"):
        match(Ramp(), Square(sample_rate=44_100), TARGET)
    for shape in ((3,), (), (0, 2), (1, 2, 2)):
        with pytest.raises(ValueError, match=r"init must have shape \(2,\) or \(n, 2\), not \(") as error:
            match(Ramp(), Square(), TARGET, init=jnp.zeros(shape))
        assert str(shape) in str(error.value)
    for start in ([0.5, 700.0], [[0.5, 0.5], [0.5, 1.01]], [0.5, -0.2], [0.5, np.nan]):
        with pytest.raises(ValueError, match=r"b = .* is no unit value: these run from 0 to 1"):
            match(Ramp(), Square(), TARGET, init=start)
    with pytest.raises(ValueError, match="evaluations must be 3 or more, a step of RMSProp here, not 2"):
        match(Ramp(), Square(), TARGET, RMSProp(), 2)
    with pytest.raises(ValueError, match="steps must be 0 or more, not -1"):
        match(Ramp(), Square(), TARGET, steps=-1)


@pytest.mark.told_start
def test_starts_may_be_lists_and_targets_whole_numbers():
    target = np.round(100 * np.asarray(TARGET)).astype(np.int16)
    found = match(Ramp(), Square(), target, steps=1, init=[0.25, 0.75])
    np.testing.assert_array_equal(found.trajectory.theta[0], np.float32([0.25, 0.75]))
    np.testing.assert_allclose(
        found.trajectory.value[0], np.mean((target - np.asarray(Ramp()([0.25, 0.75]))) ** 2), rtol=1e-5
    )


# ---------------------------------------------------------------------------------------------------- landscapes


def test_a_landscape_has_the_closed_form():
    """`Square` over `Ramp`: value `(a - 0.3)² mean(t²) + (b - 0.8)²`, gradient by hand."""
    surface = landscape(Ramp(), Square(), TARGET, num=11)
    a, b = surface.theta[..., 0], surface.theta[..., 1]
    power = np.mean(np.linspace(-1, 1, 64) ** 2)
    assert surface.value.shape == (11, 11)
    np.testing.assert_allclose(surface.value, (a - 0.3) ** 2 * power + (b - 0.8) ** 2, atol=1e-6)
    np.testing.assert_allclose(surface.gradient[..., 0], 2 * (a - 0.3) * power, atol=1e-5)
    np.testing.assert_allclose(surface.gradient[..., 1], 2 * (b - 0.8), atol=1e-5)


def test_a_line_keeps_the_other_parameters():
    line = landscape(Ramp(), Square(), TARGET, parameters=["b"], num=7, theta=jnp.array([0.3, 0.0]))
    np.testing.assert_array_equal(line.theta[:, 0], np.float32(0.3))
    np.testing.assert_allclose(line.theta[:, 1], np.linspace(0, 1, 7), rtol=1e-6)
    np.testing.assert_allclose(line.value, (np.linspace(0, 1, 7) - 0.8) ** 2, atol=1e-6)


def test_one_name_is_a_name():
    line = landscape(Ramp(), Square(), TARGET, parameters="b", num=3)
    np.testing.assert_array_equal(line.theta, np.float32([[0.5, 0], [0.5, 0.5], [0.5, 1]]))
    with pytest.raises(ValueError, match="ramp has no parameter 'cut'"):
        landscape(Ramp(), Square(), TARGET, parameters="cut")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"theta": [0.5, 700.0]}, "b = 700 is no unit value"),
        ({"theta": [0.5]}, r"theta must have shape .2,. for ramp, not .1,."),
        ({"parameters": ["c"]}, "ramp has no parameter 'c'"),
        ({"parameters": []}, "one or two free parameters"),
        ({"parameters": ["a", "a"]}, "one or two free parameters"),
        ({"num": 1}, "num must be 2 or more, not 1"),
    ],
)
def test_wrong_landscapes_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        landscape(Ramp(), Square(), TARGET, **settings)
