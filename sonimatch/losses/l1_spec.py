"""The mean absolute difference of two spectrograms."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from sonimatch.features import PAPER_STFT, STFT


def mean_absolute_difference(a: jax.Array, b: jax.Array) -> jax.Array:
    """`mean |a - b|` of two arrays of equal shape, else `ValueError`, with derivative 0 where they are equal."""
    if a.shape != b.shape:
        raise ValueError(f"features have shapes {a.shape} and {b.shape}; they must be equal")
    difference = a - b
    return (difference * jnp.sign(difference)).mean()  # the derivative of jnp.abs at 0 is 1


@dataclass(frozen=True)
class L1_Spec:
    """`L = mean_{t,f} |A[t, f] - B[t, f]|` between magnitude spectrograms of `stft`, in the unit of the
    audio.

    0 at equality, with derivative 0, and positive elsewhere; sensitive to gain. `feature` takes audio
    `[samples]` and gives `[frames, bins]`; `distance` raises `ValueError` for features of different shapes.
    Source: Salimi et al. 2025. Shown in notebooks/losses.md and notebooks/landscapes_1d.md.
    """

    stft: STFT = PAPER_STFT
    name: str = "L1_Spec"
    sample_rate: int | None = None

    def feature(self, audio: jax.Array) -> jax.Array:
        return self.stft(audio)

    def distance(self, a: jax.Array, b: jax.Array) -> jax.Array:
        return mean_absolute_difference(a, b)
