"""A blow on a rectangular membrane: 64 modes that ring out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from sonimatch.faust import FaustSynth

SOUNDING = np.array([1, 2, 3, 4, 6, 7, 8, 9])
"""The modes up to the tenth, along one side, that do not rest where the drum is struck and heard."""


class Modes(NamedTuple):
    """Angular frequency `omega` (rad/s), rate of decay `sigma` (1/s) and `amplitude`, 0 above half the sample rate:
    each `[8, 8]`, for m1 and m2 in `SOUNDING`."""

    omega: Any
    sigma: Any
    amplitude: Any


@dataclass(frozen=True)
class Drum(FaustSynth):
    """`x = y / max |y|`, `y(t) = Σ A_m exp(-σ_m t) sin(ω_m t)` over m1, m2 = 1 to 10, those above half the sample rate
    left out.

    With `β = α + 1/α` and `r_m = (m1² α² + m2²) / (1 + α²)`, which is 1 for the lowest mode:

    - `ω_m² = ω² (r_m + D² β² r_m (r_m - 1)) + (r_m - 1) (1 - p β)² / τ²`
    - `σ_m = (1 + p β (r_m - 1)) / τ`
    - `A_m = sin²(0.4 π m1) sin²(0.4 π m2) / ω_m`: struck, by an impulse, and heard at (0.4, 0.4) of the sides.

    The program of `faust/drum.dsp`, whose sound in JAX is this formula, in double precision (`precision`), not the
    program sample by sample, for which JAX would take 10 s to compile, and a minute with derivatives; native code and
    pages run the program, a bank of 64 resonators. The program cannot know its peak before it has sounded: its
    amplitudes add up to 1, so that its peak is at most 1. Scaled to a peak of 1, the two differ by less than 1e-10, and
    the float32 sound from the formula in float64 by its rounding, 3e-8.

    - `omega`, 10^2.4 to 10^3.8 rad/s (40 to 1004 Hz), log warp: the lowest mode.
    - `tau`, 0.07 to 0.8 s: the time in which it falls to 1/e.
    - `p`, 1e-5 to 10^-0.7, log warp: how much faster higher modes die.
    - `D`, 1e-5 to 0.3, log warp: how much stiffness stretches them.
    - `alpha`, 1e-5 to 1: one side over the other.

    The sound jumps where a mode crosses half the sample rate, and derivatives know nothing of that. `ValueError` where
    the lowest mode may reach half the sample rate (Hz), for fewer than 2 samples, of which the first is always 0, for a
    text with other parameters or illegal ranges, and as `FaustSynth` does. Source: Han, Lostanlen and Lagrange,
    "Learning to solve inverse problems for perceptual sound matching", 2024, equations 20 to 32, with β as above, and
    with ω and σ written in these parameters, which, unlike the printed way round through the coefficients of the
    membrane, loses no digits, and has no root of a negative number. Shown in notebooks/drum_to_retune.md.
    """

    sample_rate: int = 22_050
    num_samples: int = 65_536

    def __post_init__(self) -> None:
        super().__post_init__()
        names, low, high = self.space.names, self.space.low, self.space.high
        if names != ("omega", "tau", "p", "D", "alpha") or not (min(low) >= 0 < min(low[0], low[1], low[4])):
            told = dict(zip(names, low, strict=True))
            raise ValueError(
                f"{self.name}: the parameters are {told} at least; they must be omega, tau, p, D, alpha, with p and D "
                "at least 0 and the others more"
            )
        if not high[0] < math.pi * self.sample_rate:
            raise ValueError(
                f"{self.name}: omega goes up to {high[0]:g} rad/s, for which the sample rate must be more than "
                f"{high[0] / math.pi:.0f} Hz, not {self.sample_rate} Hz"
            )
        if self.num_samples < 2:
            raise ValueError(f"{self.name}: num_samples is {self.num_samples}; it must be at least 2")

    def modes(self, theta: ArrayLike) -> Modes:
        """The modes at `theta [5]` in the unit cube, NumPy float64."""
        self.space.check(theta)
        with jax.enable_x64(True):
            return Modes(*map(np.asarray, _modes_at(self, jnp.asarray(theta))))

    def _sounded(self, values: jax.Array, seed: ArrayLike) -> jax.Array:
        """A time is that of a block and one within it, so that the sum over modes of all products is one of matrices,
        and as few exponentials as there are in two short sounds are enough."""
        modes = _modes(values, self.sample_rate)
        omega, sigma, amplitude = (jnp.ravel(each) for each in modes)
        length = math.isqrt(self.num_samples - 1) + 1
        blocks = -(-self.num_samples // length)

        def turned(count: int, step: int) -> tuple[jax.Array, jax.Array]:
            """Real and imaginary part of `exp((iω - σ) t)`, `[count, modes]`."""
            seconds = jnp.arange(count, dtype=values.dtype)[:, None] * (step / self.sample_rate)
            radius = jnp.exp(-sigma * seconds)
            return radius * jnp.cos(omega * seconds), radius * jnp.sin(omega * seconds)

        (a, b), (c, d) = turned(blocks, length), turned(length, 1)
        left = jnp.concatenate([a * amplitude, b * amplitude], axis=1)
        y = jax.lax.dot(left, jnp.concatenate([d, c], axis=1).T, precision="highest").ravel()[: self.num_samples]
        loud = jnp.abs(y)
        peaks = jnp.where(loud == jax.lax.stop_gradient(loud).max(), loud, 0.0)  # of `max` JAX has no second derivative
        return y * jnp.where(peaks > 0, 1.0, 0.0).sum() / peaks.sum()


def _modes(values: jax.Array, sample_rate: int) -> Modes:
    omega, tau, p, D, alpha = values
    m1, m2, beta = SOUNDING[:, None] ** 2, SOUNDING**2, alpha + 1 / alpha
    above = ((m1 - 1) * alpha**2 + (m2 - 1)) / (1 + alpha**2)  # r - 1, without its cancellation
    squared = omega**2 * (1 + above) * (1 + (D * beta) ** 2 * above) + above * ((1 - p * beta) / tau) ** 2
    found = jnp.sqrt(squared)
    struck = np.sin(0.4 * np.pi * SOUNDING) ** 2
    heard = jnp.where(found < math.pi * sample_rate, np.outer(struck, struck) / found, 0.0)
    return Modes(found, (1 + p * beta * above) / tau, heard.astype(values.dtype))


@partial(jax.jit, static_argnums=0)
def _modes_at(drum: Drum, theta: jax.Array) -> Modes:
    return _modes(drum.space.exact(theta), drum.sample_rate)
