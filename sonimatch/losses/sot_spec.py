"""The work of carrying one spectrum into another along frequency."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from sonimatch.features import STFT, mono, root
from sonimatch.losses.l1_spec import check_shapes


def _or_one(level: jax.Array) -> jax.Array:
    return jnp.where(level > 0, level, 1)


@dataclass(frozen=True)
class SOT_Spec:
    """`L = mean_t W_p(A[t], B[t])^p`: spectral optimal transport, frame by frame.

    `A[t, f]` is the magnitude spectrogram of `stft`, divided in each frame by its sum, and `W_p` the Wasserstein
    distance of two distributions over frequency, which runs from 0 to 1 at half the sample rate:
    `W_p^p = ∫ |F_A⁻¹(q) - F_B⁻¹(q)|^p dq` from 0 to 1, with `F⁻¹` the inverse of the cumulative sum. So it tells how
    far a partial has moved, and the slope points there from afar.

    The sound is first divided by its RMS and its magnitudes are raised by `epsilon`, so that a silent frame counts as
    white: **exactly deaf to gain**, to that of the whole as to that of a frame far above `epsilon`. 0 at equality,
    where there is a corner, and positive elsewhere. `order >= 1` is p, and `epsilon > 0`; else `ValueError`.
    `feature` takes audio `[samples]` and gives the cumulative sums `[frames, bins]`; `distance` raises `ValueError`
    for features of different shapes. Source: B. Torres, G. Peeters, G. Richard, "Unsupervised harmonic parameter
    estimation using differentiable DSP and spectral optimal transport", 2024. Shown in notebooks/losses.md.
    """

    stft: STFT = STFT(2048, 512, 2048, pad=1024)  # noqa: RUF009 (frozen)
    order: float = 2
    epsilon: float = 1e-5
    name: str = "SOT_Spec"
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        if not (self.order >= 1 and self.epsilon > 0):
            raise ValueError(f"order is {self.order}, epsilon {self.epsilon}; they must be >= 1 and > 0")

    def feature(self, audio: jax.Array) -> jax.Array:
        audio = mono(audio)
        audio = audio / jax.lax.stop_gradient(_or_one(jnp.abs(audio).max(initial=0)))  # so that squares are numbers
        cumulative = jnp.cumsum(self.stft(audio / _or_one(root((audio**2).mean()))) + self.epsilon, axis=1)
        return cumulative / cumulative[:, -1:]

    def distance(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """The integral, summed by parts. Between two neighbours of all cumulative sums in order, each inverse rests at
        the bin whose number is how many sums of its own have been passed; so a sum counts as often as the cost falls
        there. The derivative is right with these numbers held fixed, since they change where neighbours meet."""
        check_shapes(a, b)
        one, other = (jax.lax.cummax(jax.lax.stop_gradient(sums), 1) for sums in (a, b))  # rounding may make them fall
        below = jax.vmap(jnp.searchsorted)(other, one)  # of b's sums, for each of a's
        up_to = jax.vmap(partial(jnp.searchsorted, side="right"))(one, other)
        bins = jnp.arange(a.shape[1])

        def falls(apart: jax.Array) -> jax.Array:
            cost = [jnp.abs(n.astype(a.dtype) / (bins.size - 1)) ** self.order for n in (apart, apart + 1)]
            return jnp.subtract(*cost)

        return (a * falls(bins - below) + b * falls(bins - up_to)).sum(1).mean()
