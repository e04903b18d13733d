"""The multi-scale spectral loss: spectrograms of several resolutions."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from sonimatch.features import STFT
from sonimatch.losses.l1_spec import mean_absolute_difference


@dataclass(frozen=True)
class MSS_Spec:
    """`L = sum_k mean |A_k - B_k| + mean |log(A_k + ε) - log(B_k + ε)|` between the magnitude spectrograms of `stfts`.

    The windows are from 64 samples, which hear when, to 2048, which hear which frequency, each with three quarters of
    it overlapping. ε, in the unit of the audio, is the level below which nothing is heard. 0 at equality, with
    derivative 0, and positive elsewhere; sensitive to gain. `MSS`, with which a finished match is scored, divides each
    sound by its peak and is not descended.

    `stfts` are at least one and `epsilon > 0`; else `ValueError`. `feature` takes audio `[samples]` and gives a tuple
    of arrays `[frames, bins]`; `distance` raises `ValueError` for features of different shapes. Source: J. Engel et
    al., "DDSP", 2020, eq. 4, here with means in place of sums. Shown in notebooks/losses.md.
    """

    stfts: tuple[STFT, ...] = tuple(STFT(w, w // 4, w, w // 2) for w in (2048, 1024, 512, 256, 128, 64))
    epsilon: float = 1e-5
    name: str = "MSS_Spec"
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        if not (self.stfts and self.epsilon > 0):
            raise ValueError(f"stfts are {self.stfts}, epsilon {self.epsilon}; they must be at least one and positive")

    def feature(self, audio: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(stft(audio) for stft in self.stfts)

    def distance(self, a: tuple[jax.Array, ...], b: tuple[jax.Array, ...]) -> jax.Array:
        log = jax.tree.map(lambda spectrogram: jnp.log(spectrogram + self.epsilon), (a, b))
        scales = jax.tree.map(mean_absolute_difference, (a, log[0]), (b, log[1]))
        return jnp.stack(jax.tree.leaves(scales)).sum()
