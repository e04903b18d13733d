"""The networks: sizes, shapes, what each layer computes, what training changes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from sonimatch.learn.encoder import ACTIVATIONS, Patches, Squeeze, compact, count, efficientnet_b0


@pytest.fixture(scope="module")
def pictures():
    return jax.random.normal(jax.random.key(0), (4, 64, 32))


def test_efficientnet_has_its_published_size():
    """Of torchvision's `efficientnet_b0`, 5,288,548 with three channels in and a head of 1,000 classes: without the
    head 4,007,548, with one channel 576 fewer, and two for the normalisation of the picture."""
    model = nnx.eval_shape(lambda: efficientnet_b0(5, rngs=nnx.Rngs(0)))
    assert count(model) == 5_288_548 - 1_281_000 - 576 + 2 + 5 * 1281


def test_efficientnet_halves_a_picture_five_times():
    """Stage by stage, as published: a picture of 224 × 224 comes down to 7 × 7 places."""
    model = nnx.eval_shape(lambda: efficientnet_b0(3, rngs=nnx.Rngs(0)))
    x, seen = jax.ShapeDtypeStruct((2, 224, 224, 1), jnp.float32), []
    for layer in (layer for layer in model.body.layers if isinstance(layer, nnx.Module)):
        x = nnx.eval_shape(lambda layer, x: layer(x), layer, x)
        seen += [x.shape[1:]] if [x.shape[1:]] != seen[-1:] else []
    sizes = [(112, 32), (112, 16), (56, 24), (28, 40), (14, 80), (14, 112), (7, 192), (7, 320), (7, 1280)]
    assert seen == [(side, side, channels) for side, channels in sizes]
    assert nnx.eval_shape(lambda model, x: model(x), model, jnp.zeros((2, 96, 128))).shape == (2, 3)


def test_patches_are_a_strided_convolution(rng):
    layer = Patches(3, 5, rngs=nnx.Rngs(0))
    x = jnp.asarray(rng.normal(size=(2, 8, 12, 3)), jnp.float32)
    expected = jax.lax.conv_general_dilated(
        x, layer.kernel[...], (2, 2), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(layer(x), expected, atol=1e-4)


def test_squeeze_weighs_whole_channels(rng):
    x = jnp.asarray(rng.normal(size=(2, 3, 5, 8)), jnp.float32)
    weights = Squeeze(8, 2, rngs=nnx.Rngs(0))(x) / x
    np.testing.assert_allclose(weights, weights[:, :1, :1] * np.ones((1, 3, 5, 1)), rtol=1e-4)
    assert 0 < weights.min() < weights.max() < 1


def test_a_compact_network_learns_and_is_the_same_each_time_it_is_asked(pictures):
    """It overfits four pictures; asked, it depends on no other picture of its batch, and on no chance."""
    model = compact(3, features=(4, 8), rngs=nnx.Rngs(0))
    wanted = jnp.asarray([[0.5, -0.5, 0.1], [-0.5, 0.2, 0.9], [0.0, 0.7, -0.7], [0.9, -0.9, 0.0]])
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer):
        value, gradient = nnx.value_and_grad(lambda model: ((model(pictures) - wanted) ** 2).mean())(model)
        optimizer.update(model, gradient)
        return value

    model.train()
    values = [float(step(model, optimizer)) for _ in range(100)]
    assert values[-1] < 0.1 * values[0]
    model.eval()
    answer = model(pictures)
    np.testing.assert_array_equal(answer, model(pictures))
    np.testing.assert_allclose(model(pictures[1:2]), answer[1:2], atol=1e-5)
    assert np.abs(answer).max() < 1


def test_what_ends_a_network_follows_table_1():
    x = jnp.asarray([-20.0, 0.5, 20.0])
    expected = {(1, 1): [-1, 0.462, 1], (1, 0): [-1, 0.462, 1], (0, 1): [-20, 0.5, 20], (0, 0): [-0.2, 0.5, 20]}
    assert ACTIVATIONS.keys() == {(bool(a), bool(b)) for a, b in expected}
    for key, values in expected.items():
        np.testing.assert_allclose(ACTIVATIONS[key](x), values, atol=1e-3)
