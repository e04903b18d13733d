"""Mean absolute difference of time-scattering coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from sonimatch.losses.l1_spec import mean_absolute_difference
from sonimatch.scattering import TimeScattering


@dataclass(frozen=True)
class Scattering:
    """`L = mean |S(a) - S(b)|` over all paths and frames of `sonimatch.scattering.TimeScattering(J, Q)`.

    The published study calls this loss JTFS. What its code ran is **one-dimensional time scattering**, J = 6
    and Q = 1, with the weights of kymatio 0.3.0 (`released=True`); the default has the right weights. The
    joint time–frequency scattering transform is something else: it also convolves along log-frequency, and
    so tells rising from falling.

    `feature` takes floating-point audio `[samples]`, at least `2^J` of them, and gives `[paths, frames]`
    (26 × 689 for one second at 44.1 kHz); `distance` takes two of equal shape and gives a number ≥ 0 in the
    unit of the audio. `ValueError` for anything else. `J` and `Q` are whole numbers from 1 upwards. Source:
    Andén and Mallat 2014; Andreux et al. 2020; Salimi et al. 2025. Shown in notebooks/losses.md.
    """

    J: int = 6
    Q: int = 1
    released: bool = False
    name: str = "Scattering"
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        TimeScattering(self.J, self.Q, self.released)

    def feature(self, audio: jax.Array) -> jax.Array:
        return TimeScattering(self.J, self.Q, self.released)(audio)

    def distance(self, a: jax.Array, b: jax.Array) -> jax.Array:
        return mean_absolute_difference(a, b)
