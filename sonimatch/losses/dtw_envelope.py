"""Soft dynamic time warping between loudness envelopes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from sonimatch.features import PAPER_STFT, STFT, envelope

_VECTOR = 16  # lanes of the widest vector unit, in single precision
_WALL = 1e30  # stands for infinity outside the grid: sums and differences of walls stay finite


@partial(jax.custom_jvp, nondiff_argnums=(1,))
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
    return _forward(cost, gamma)[0]


@soft_dtw.defjvp
def _(gamma, primals, tangents):
    value, steps = _forward(primals[0], gamma)
    return value, jnp.vdot(_expected_alignment(steps, *primals[0].shape), tangents[0])


def _forward(cost: jax.Array, gamma: float) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """The value, and for each cell the probabilities that an alignment enters it from above and from the left.

    Skewed layout: row `k` is the anti-diagonal `i + j = k`, whose cells do not depend on each other, lane `i`; a whole
    number of vectors of lanes, all but the first `n` of them walls.
    """
    n, m = cost.shape
    walled = jnp.pad(cost, ((0, 0), (0, n)), constant_values=_WALL)
    skewed = walled.ravel()[:-n].reshape(n, n + m - 1).T
    skewed = jnp.pad(skewed, ((0, 0), (0, -n % _VECTOR)), constant_values=_WALL)

    def step(carry, costs):
        diagonal, left = carry
        above = jnp.concatenate([jnp.full(1, _WALL, cost.dtype), left[:-1]])
        least = jnp.minimum(jnp.minimum(above, left), diagonal)
        weights = [jnp.exp((least - r) / gamma) for r in (above, left, diagonal)]
        total = weights[0] + weights[1] + weights[2]
        return (above, costs + least - gamma * jnp.log(total)), (weights[0] / total, weights[1] / total)

    wall = jnp.full(skewed.shape[1], _WALL, cost.dtype)
    (_, last), steps = jax.lax.scan(step, (wall.at[0].set(0), wall), skewed)
    return last[n - 1], steps


def _expected_alignment(steps: tuple[jax.Array, ...], n: int, m: int) -> jax.Array:
    """The probability of each cell `[n, m]`, flowing back from the last. The weights of a cell sum to 1; the
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
    _, skewed = jax.lax.scan(step, (end, jnp.zeros_like(end)), steps, reverse=True)
    return jnp.pad(skewed[:, :n].T.ravel(), (0, n)).reshape(n, n + m)[:, :m]


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
        return soft_dtw((a[:, None] - b) ** 2, self.gamma)
