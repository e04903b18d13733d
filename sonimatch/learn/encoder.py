"""Networks that guess parameters from a picture of a sound: EfficientNet-B0, and a small one of its family."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

ACTIVATIONS: dict[tuple[bool, bool], Callable[[jax.Array], jax.Array]] = {
    (True, True): jnp.tanh,
    (True, False): jnp.tanh,
    (False, True): lambda x: x,
    (False, False): nnx.leaky_relu,
}
"""What ends a network, by whether its parameters are scaled to (-1, 1) and whether their logarithms are taken: table I
of Han, Lostanlen and Lagrange 2024."""


class Patches(nnx.Module):
    """A convolution of 4 × 4 with a stride of 2, padded by 1: `[n, H, W, C]` ─► `[n, H/2, W/2, features]`.

    As four matrix products of 2 × 2 blocks, which XLA does in half the time on a CPU; H and W are even. No bias.
    """

    def __init__(self, channels: int, features: int, *, rngs: nnx.Rngs):
        bound = nnx.initializers.variance_scaling(2.0, "fan_out", "normal", in_axis=(0, 1, 2))
        self.kernel = nnx.Param(bound(rngs.params(), (4, 4, channels, features)))

    def __call__(self, x: jax.Array) -> jax.Array:
        n, height, width, channels = x.shape
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        x = x.reshape(n, height // 2 + 1, 2, width // 2 + 1, 2, channels).transpose(0, 1, 3, 2, 4, 5)
        x = x.reshape(n, height // 2 + 1, width // 2 + 1, 4 * channels)
        kernel = self.kernel[...].reshape(2, 2, 2, 2, channels, -1).transpose(0, 2, 1, 3, 4, 5)
        kernel = kernel.reshape(2, 2, 4 * channels, -1)
        corners = [(i, j) for i in (0, 1) for j in (0, 1)]
        return sum(x[:, i : i + height // 2, j : j + width // 2] @ kernel[i, j] for i, j in corners)  # pyright: ignore[reportReturnType]


class Squeeze(nnx.Module):
    """Squeeze and excitation: every channel is weighed by what all channels hold on average (Hu et al. 2018)."""

    def __init__(self, channels: int, squeezed: int, *, rngs: nnx.Rngs):
        self.down = nnx.Linear(channels, squeezed, rngs=rngs)
        self.up = nnx.Linear(squeezed, channels, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * nnx.sigmoid(self.up(nnx.silu(self.down(x.mean((1, 2), keepdims=True)))))


def _norm(channels: int, rngs: nnx.Rngs) -> nnx.BatchNorm:
    return nnx.BatchNorm(channels, momentum=0.9, epsilon=1e-3, rngs=rngs)


class Inverted(nnx.Module):
    """An inverted residual: wider by 1 × 1, filtered channel by channel, weighed, and narrow again (Sandler et al.
    2018). Where the shape stays, the input is added, and in training whole examples leave the block out with
    probability `drop`."""

    def __init__(
        self, channels: int, features: int, wider: int, kernel: int, stride: int, drop: float, *, rngs: nnx.Rngs
    ):
        inner, size = channels * wider, (kernel, kernel)
        self.residual, conv = stride == 1 and channels == features, nnx.Conv
        left_out = nnx.Dropout(drop if self.residual else 0.0, broadcast_dims=(1, 2, 3), rngs=rngs)
        widened = [conv(channels, inner, (1, 1), use_bias=False, rngs=rngs), _norm(inner, rngs), nnx.silu]
        depthwise = conv(inner, inner, size, stride, feature_group_count=inner, use_bias=False, rngs=rngs)
        self.layers = nnx.Sequential(
            *(widened if wider > 1 else []), depthwise, _norm(inner, rngs), nnx.silu,
            Squeeze(inner, max(1, channels // 4), rngs=rngs),
            conv(inner, features, (1, 1), use_bias=False, rngs=rngs), _norm(features, rngs), left_out,
        )  # fmt: skip

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.layers(x) if self.residual else self.layers(x)


class Encoder(nnx.Module):
    """Pictures `[n, H, W]`, the constant-Q transform of sounds, ─► parameters `[n, P]`.

    The picture is normalised over the batch, goes through `body` to `width` channels, which are averaged over the
    picture; dropout, a linear layer, and `activation` (see `ACTIVATIONS`; tanh by default).
    `.train()` and `.eval()` switch batch statistics and dropout.
    """

    def __init__(
        self, body: Any, width: int, parameters: int, activation: Callable[[jax.Array], jax.Array] = jnp.tanh,
        dropout: float = 0.2, *, rngs: nnx.Rngs,
    ):  # fmt: skip
        self.norm, self.body = _norm(1, rngs), body
        self.dropout = nnx.Dropout(dropout, rngs=rngs)
        self.head = nnx.Linear(width, parameters, rngs=rngs)
        self.activation = activation

    def __call__(self, pictures: jax.Array) -> jax.Array:
        x = self.body(self.norm(pictures[..., None])).mean((1, 2))
        return self.activation(self.head(self.dropout(x)))


STAGES = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5),
          (6, 320, 1, 1, 3))  # fmt: skip
"""Of EfficientNet-B0: how much wider inside, features, blocks, stride of the first block, size of the kernel."""


def efficientnet_b0(parameters: int, *, rngs: nnx.Rngs, **settings: Any) -> Encoder:
    """EfficientNet-B0 for pictures of one channel: 4,006,974 weights and 1,281 more for each parameter.

    Source: Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks", 2019. `settings` are
    those of `Encoder`. Meant for a GPU; `compact` is there for a CPU.
    """
    layers: list[Any] = [nnx.Conv(1, 32, (3, 3), 2, use_bias=False, rngs=rngs), _norm(32, rngs), nnx.silu]
    blocks = [(*stage[:2], stage[3] if first == 0 else 1, stage[4]) for stage in STAGES for first in range(stage[2])]
    channels = 32
    for number, (wider, features, stride, kernel) in enumerate(blocks):
        layers.append(Inverted(channels, features, wider, kernel, stride, 0.2 * number / len(blocks), rngs=rngs))
        channels = features
    layers += [nnx.Conv(channels, 1280, (1, 1), use_bias=False, rngs=rngs), _norm(1280, rngs), nnx.silu]
    return Encoder(nnx.Sequential(*layers), 1280, parameters, rngs=rngs, **settings)


def compact(
    parameters: int, *, rngs: nnx.Rngs, features: tuple[int, ...] = (32, 64, 128), **settings: Any
) -> Encoder:
    """A small network of the same parts, for a CPU: squares of 4 × 4 points, then convolutions with a stride of 2
    (`Patches`), each with batch normalisation, SiLU and squeeze and excitation.

    Height and width of the pictures are divisible by 2 to the number of `features` and once more."""
    first = nnx.Linear(16, features[0], use_bias=False, kernel_init=nnx.initializers.he_normal(), rngs=rngs)
    convolutions = [Patches(*pair, rngs=rngs) for pair in pairwise(features)]
    layers: list[Any] = [_squares]
    for layer, channels in zip([first, *convolutions], features, strict=True):
        layers += [layer, _norm(channels, rngs), nnx.silu, Squeeze(channels, channels // 4, rngs=rngs)]
    return Encoder(nnx.Sequential(*layers), features[-1], parameters, rngs=rngs, **settings)


def _squares(x: jax.Array) -> jax.Array:
    """`[n, H, W, C]` ─► `[n, H/4, W/4, 16 C]`."""
    n, height, width, channels = x.shape
    x = x.reshape(n, height // 4, 4, width // 4, 4, channels).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, height // 4, width // 4, 16 * channels)


def count(model: nnx.Module) -> int:
    """How many numbers a network learns."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
