"""The mean absolute difference of two spectrograms."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from sonimatch.features import PAPER_STFT, STFT, absolute
from sonimatch.types import Feature


def check_shapes(a: Feature, b: Feature) -> None:
    """Raise `ValueError` unless two features, arrays or tuples of arrays, have equal shapes."""
    one, other = ([leaf.shape for leaf in jax.tree.leaves(feature)] for feature in (a, b))
    if one != other:
        raise ValueError(f"features have shapes {one} and {other}; they must be equal")


def mean_absolute_difference(a: jax.Array, b: jax.Array) -> jax.Array:
    """`mean |a - b|` of two arrays of equal shape, else `ValueError`, with derivative 0 where they are equal."""
    check_shapes(a, b)
    return absolute(a - b).mean()


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
