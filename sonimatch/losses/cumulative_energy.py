"""Energy accumulated from the corners of the spectrogram."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from sonimatch.features import STFT, root
from sonimatch.losses.l1_spec import check_shapes

_SILENCE = 1e-20  # the least energy that a target is divided by
_CORNERS = [(late, high) for late in (False, True) for high in (False, True)]


@dataclass(frozen=True)
class CumulativeEnergy:
    """`L = mean_c sqrt(mean_{t,f} (sqrt(B_c / A) - sqrt(A_c / A))²)`, from the four corners `c` of the spectrogram.

    `A_c[t, f]` is the energy, `|STFT|²`, of the target in the rectangle from the corner (first or last frame, lowest
    or highest bin) to the cell, that cell included, `A` that of the whole, and `B_c` that of the candidate. Shares of
    energy below `epsilon` count as `epsilon`. A partial or an onset that is elsewhere changes the cells between the
    two places, so that the loss grows with their distance.
    With `log`, the mean over cells is an integral over time and log-frequency of a surface that is constant from each
    cell to the next, seen from the corner: cells weigh by their steps in `log max(f, floor)`.

    `floor > 0` in cycles per sample (20 Hz at 44.1 kHz), `epsilon > 0`; else `ValueError`. No unit; 0 at equality with
    derivative 0, positive elsewhere, sensitive to gain. A silent target has no shares; it is taken as one of energy
    1e-20, so that a sound scores as much as its level above that. `feature` takes audio `[samples]` and gives the
    accumulated energies `[4, frames, bins]`; `distance` raises `ValueError` for features of different shapes. Source:
    P. Tablas de Paula, the package cels-audio 0.1.1, 2026. Shown in notebooks/losses.md.
    """

    stft: STFT = STFT(1024, 256, 1024, pad=0)  # noqa: RUF009 (frozen)
    log: bool = False
    floor: float = 1 / 2205
    epsilon: float = 1e-12
    name: str = "CumulativeEnergy"
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        for setting in ("floor", "epsilon"):
            if not getattr(self, setting) > 0:
                raise ValueError(f"{setting} is {getattr(self, setting)}; it must be positive")

    def feature(self, audio: jax.Array) -> jax.Array:
        energy = self.stft(audio) ** 2
        over_time = [jax.lax.cumsum(energy, 0, reverse=late) for late in (False, True)]
        return jnp.stack([jax.lax.cumsum(over_time[late], 1, reverse=high) for late, high in _CORNERS])

    def weights(self, frames: int) -> np.ndarray:
        """What each cell counts, `[4, frames, bins]`, with sum 1 from each corner."""
        step = np.diff(np.log(np.maximum(np.linspace(0, 0.5, self.stft.fft_length // 2 + 1), self.floor)))
        sides = [[np.append(w, 0), np.append(0, w)] for w in (np.ones(frames - 1), step)]
        cells = np.stack([np.outer(sides[0][late], sides[1][high]) for late, high in _CORNERS])
        return cells / cells.sum((1, 2), keepdims=True)

    def distance(self, a: jax.Array, b: jax.Array) -> jax.Array:
        check_shapes(a, b)
        whole = jnp.maximum(a[0, -1, -1], _SILENCE)
        apart = jnp.subtract(*(jnp.sqrt(jnp.maximum(surface / whole, self.epsilon)) for surface in (a, b))) ** 2
        if self.log:
            return root((apart * jnp.asarray(self.weights(a.shape[1]), a.dtype)).sum((1, 2))).mean()
        return root(apart.mean((1, 2))).mean()
