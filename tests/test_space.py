"""Parameter spaces: the two warps against their formulas, the clipping, and what is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sonimatch import ParamSpace

SPACE = ParamSpace(
    names=("gain", "cut"),
    low=(-1.0, 20.0),
    high=(3.0, 20_000.0),
    warp=("linear", "log"),
    unit=("", "Hz"),
    default=(0.0, 200.0),
)


def test_warps_follow_their_formulas():
    theta = np.random.default_rng(0).uniform(size=(50, 2))
    expected = np.stack([-1 + 4 * theta[:, 0], 20 * 1000 ** theta[:, 1]], axis=1)
    np.testing.assert_allclose(SPACE.to_physical(theta), expected, rtol=1e-5)
    np.testing.assert_allclose(SPACE.to_unit(expected), theta, atol=1e-6)


def test_unscaled_coordinates_are_values_and_logarithms():
    bent = dataclasses.replace(SPACE, warp=("exp", "log"))
    theta = np.random.default_rng(0).uniform(-0.1, 1.1, size=(50, 2))  # an encoder may leave the range
    for space, gain in ((SPACE, -1 + 4 * theta[:, 0]), (bent, -1 + 4 * np.log1p((np.e - 1) * theta[:, 0]))):
        coordinates = space.unscaled(theta)
        np.testing.assert_allclose(coordinates[:, 0], gain, rtol=1e-4)
        np.testing.assert_allclose(coordinates[:, 1], np.log(20) + np.log(1000) * theta[:, 1], rtol=1e-5)
        np.testing.assert_allclose(space.scaled(coordinates), theta, atol=1e-6)
    np.testing.assert_allclose(SPACE.scaled([1, 3]), [0.5, (3 - np.log(20)) / np.log(1000)], rtol=1e-5)
    inside = np.clip(theta, 0, 1)
    np.testing.assert_allclose(np.exp(SPACE.unscaled(inside)[:, 1]), SPACE.to_physical(inside)[:, 1], rtol=1e-5)


def test_outside_the_cube_the_value_rests_without_gradient():
    theta = jnp.array([-0.5, 1.5])
    np.testing.assert_allclose(SPACE.to_physical(theta), [-1, 20_000], rtol=1e-5)
    assert not np.asarray(jax.jacfwd(SPACE.to_physical)(theta)).any()
    ends = np.asarray(jax.jacfwd(SPACE.to_physical)(jnp.array([0.0, 1.0])))
    np.testing.assert_allclose(np.diag(ends), [4, 20_000 * np.log(1000)], rtol=1e-5)


def test_named_values_and_defaults():
    theta = SPACE.theta({"cut": 632.455532})
    np.testing.assert_allclose(theta, [0.25, 0.5], atol=1e-6)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"cutt": 100.0}, "no parameter 'cutt'; did you mean 'cut'"),
        ({"cut": 10.0}, "cut = 10 is out of range: 20 to 20000 Hz"),
        ({"gain": float("nan")}, "gain = nan is out of range"),
    ],
)
def test_wrong_values_are_named(values, words):
    with pytest.raises(ValueError, match=words):
        SPACE.theta(values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"low": (3.0, 20.0)}, "range .3, 3. is empty"),
        ({"low": (-1.0, 0.0)}, "log warp needs low > 0, not 0"),
        ({"warp": ("linear", "mel")}, "'mel' is not one of 'linear', 'log', 'exp'"),
        ({"step": (0.1, -1.0)}, "'cut': the step must be positive, or 0"),
        ({"quantised": (True, False)}, "'gain': the step must be positive"),
        ({"names": ("cut", "cut")}, "'cut': there are 2 of this name"),
        ({"high": (float("inf"), 20_000.0)}, "'gain': the range .-1, inf. is not finite"),
        ({"low": (float("-inf"), 20.0)}, "'gain': the range .-inf, 3. is not finite"),
        ({"low": (float("nan"), 20.0)}, "'gain': the range .nan, 3. is not finite"),
        ({"unit": ("",)}, "unit must have 2 entries, one for each name"),
    ],
)
def test_impossible_spaces_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(SPACE, **change)


def test_physical_values_in_the_place_of_unit_values_are_told():
    for inside in ([0.5, 1.2], [[-0.3, 0.0], [1.0, 2.0]]):  # where an unbounded search may end
        SPACE.check(inside)
    jax.jit(lambda theta: SPACE.check(theta))(jnp.array([700.0, 60.0]))  # values that are not known pass
    with pytest.raises(
        ValueError, match="cut = 700 is no unit value: these run from 0 to 1 over the range 20 to 20000 Hz"
    ):
        SPACE.check([[0.5, 0.5], [0.5, 700.0]])
    with pytest.raises(ValueError, match="gain = nan is no unit value"):
        SPACE.check([np.nan, 0.5])
    with pytest.raises(ValueError, match=r"gain = -0\.1 is no unit value"):
        SPACE.check([-0.1, 0.5], 0.0, 1.0)


def test_samples_are_uniform_and_repeat():
    key = jax.random.key(1)
    sample = np.asarray(SPACE.sample(key, 4000))
    assert sample.shape == (4000, 2)
    np.testing.assert_array_equal(sample, SPACE.sample(key, 4000))
    # the mean of 4000 uniform draws has a standard error of 0.0046: five of them
    np.testing.assert_allclose(sample.mean(axis=0), 0.5, atol=0.023)
    assert sample.min() >= 0
    assert sample.max() <= 1
