"""Soft dynamic time warping between loudness envelopes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from sonimatch.features import PAPER_STFT, STFT, envelope

_VECTOR = 16  # lanes of the widest vector unit, in single precision
_WALL = 1e30  # stands for infinity outside the grid: sums and differences of walls stay finite


def soft_dtw(cost: jax.Array, gamma: float) -> jax.Array:
    """Soft dynamic time warping: the soft minimum of the summed cost over all monotone alignments.

    `R[i, j] = cost[i, j] + softmin(R[i-1, j-1], R[i-1, j], R[i, j-1])` with
    `softmin(x) = -γ log sum exp(-x / γ)`, for `cost [n, m]` and `gamma > 0` in one unit; the value is
    `R[n, m]`. It is below the minimum by up to γ times the logarithm of the number of alignments, hence
    negative when costs are small. The derivative with respect to `cost` is the expected alignment: the
    probability that an alignment visits a cell. Forward and reverse mode, `jit` and `vmap` work.
    Source: M. Cuturi and M. Blondel, "Soft-DTW: a differentiable loss function for time-series", 2017.
    Shown in notebooks/losses.md.
    """
    n, m = cost.shape
    walled = jnp.pad(cost, ((0, 0), (0, n)), constant_values=_WALL)
    skewed = walled.ravel()[:-n].reshape(n, n + m - 1).T
    return _soft_dtw(jnp.pad(skewed, ((0, 0), (0, -n % _VECTOR)), constant_values=_WALL), n, gamma)


def _skewed_squares(a: jax.Array, b: jax.Array) -> jax.Array:
    """`(a_i - b_j)²` for `_soft_dtw`: each row is `a` less a stretch of `b`, read backwards."""
    (n,), (m,) = a.shape, b.shape
    rows, lanes = n + m - 1, n + -n % _VECTOR
    backwards = jnp.pad(b[::-1], (n - 1, lanes - 1))
    stretches = jax.vmap(lambda start: jax.lax.dynamic_slice(backwards, (start,), (lanes,)))(jnp.arange(rows)[::-1])
    k, i = np.ogrid[:rows, :lanes]
    return jnp.where((i < n) & (i <= k) & (k < i + m), (jnp.pad(a, (0, lanes - n)) - stretches) ** 2, _WALL)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _soft_dtw(skewed: jax.Array, n: int, gamma: float) -> jax.Array:
    """Row `k` of `skewed` is the anti-diagonal `i + j = k` of the costs, whose cells do not depend on each other, and
    lane `i` is row `i`: a whole number of vectors of lanes, with walls outside the grid."""
    return _forward(skewed, n, gamma)[0]


@_soft_dtw.defjvp
def _(n, gamma, primals, tangents):
    value, steps = _forward(primals[0], n, gamma)
    return value, jnp.vdot(_expected_alignment(steps, n), tangents[0])


def _forward(skewed: jax.Array, n: int, gamma: float) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """The value, and for each cell the probabilities that an alignment enters it from above and from the left.

    Of the three weights relative to the largest, one is 1; so two exponentials do.
    """

    def step(carry, costs):
        diagonal, left = carry
        above = jnp.concatenate([jnp.full(1, _WALL, costs.dtype), left[:-1]])
        near, far = jnp.minimum(above, left), jnp.maximum(above, left)
        weight_far, weight = jnp.exp((near - far) / gamma), jnp.exp(-jnp.abs(near - diagonal) / gamma)
        weight_near = jnp.where(near <= diagonal, 1, weight)
        weight_diagonal = jnp.where(near <= diagonal, weight, 1)
        total = weight_near * (1 + weight_far) + weight_diagonal
        here = costs + jnp.minimum(near, diagonal) - gamma * jnp.log(total)
        enter_near = weight_near / total
        enter_far = enter_near * weight_far
        from_above = jnp.where(above <= left, enter_near, enter_far)
        from_left = jnp.where(above <= left, enter_far, enter_near)
        return (above, here), (from_above, from_left)

    wall = jnp.full(skewed.shape[1], _WALL, skewed.dtype)
    (_, last), steps = jax.lax.scan(step, (wall.at[0].set(0), wall), skewed)
    return last[n - 1], steps


def _expected_alignment(steps: tuple[jax.Array, ...], n: int) -> jax.Array:
    """The probability of each cell, skewed, flowing back from the last. The weights of a cell sum to 1; the
    textbook's `exp((R[i+1, j] - R[i, j] - cost[i+1, j]) / γ)` overflows when `R` rounds by far more than γ.
    """

    def step(carry, weights):
        here, behind = carry
        above, left = (here * weight for weight in weights)
        diagonal = jnp.maximum(here - above - left, 0)
        rest = jnp.zeros(1, here.dtype)
        lifted, diagonal = (jnp.concatenate([lane[1:], rest]) for lane in (above, diagonal))
        return (behind + left + lifted, diagonal), here

    end = jnp.zeros_like(steps[0][0]).at[n - 1].set(1)
    return jax.lax.scan(step, (end, jnp.zeros_like(end)), steps, reverse=True)[1]


@dataclass(frozen=True)
class DTW_Envelope:
    """`L = soft_dtw((a_i - b_j)², γ)` between loudness envelopes: rates of modulation, whatever the phase.

    The envelope is the spectrogram of `stft` summed over frequency and smoothed by a Gaussian of
    `sigma_frames`, cut at `radius_frames`. The raw sum over the alignment, neither divided by the length nor
    debiased: **negative** at equality (near -700 for 441 frames), where it is not smallest, and 1e5 or more
    for unlike sounds. `gamma > 0`, in the square of the unit of the audio, else `ValueError`. `feature` takes
    audio `[samples]` and gives `[frames]`; `distance` takes envelopes of any two lengths, and raises
    `ValueError` for other shapes. Source: Salimi et al. 2025, Cuturi and Blondel 2017; γ, σ and radius from
    the released code of the study. Shown in notebooks/losses.md and notebooks/landscapes_1d.md.
    """

    gamma: float = 1.0
    stft: STFT = PAPER_STFT
    sigma_frames: float = 3.0
    radius_frames: int = 10
    name: str = "DTW_Envelope"
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        if not self.gamma > 0:
            raise ValueError(f"gamma is {self.gamma}; it must be positive")

    def feature(self, audio: jax.Array) -> jax.Array:
        return envelope(self.stft(audio), self.sigma_frames, self.radius_frames)

    def distance(self, a: jax.Array, b: jax.Array) -> jax.Array:
        if a.ndim != 1 or b.ndim != 1:
            raise ValueError(f"envelopes have shapes {a.shape} and {b.shape}; they must be [frames]")
        return _soft_dtw(_skewed_squares(a, b), a.size, self.gamma)
