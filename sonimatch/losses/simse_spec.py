"""The mean squared difference of two spectrograms after the best gain."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from sonimatch.features import PAPER_STFT, STFT
from sonimatch.losses.l1_spec import check_shapes


@dataclass(frozen=True)
class SIMSE_Spec:
    """`L = min_α mean_{t,f} (A - α B)²`, `α = <A, B> / <B, B>`, for target `A` and candidate `B`.

    Magnitude spectrograms of `stft`; α = 0 if B is silent. 0 when the candidate is the target at any gain, at
    most `mean A²`, in the square of the unit of the audio. The gain of the candidate does not matter, that of
    the target does. With `clip`, both spectrograms are first clipped to [0, 1], as in the released code of
    the study: then the loss depends on the gain of both, and is flat where a spectrogram exceeds 1 (a sine of
    amplitude 1 peaks near 10).

    By the envelope theorem the gradient is the partial derivative at fixed α, and so it is computed, which
    keeps it finite down to silence; the *second* derivative by JAX lacks the terms in dα. `distance` raises
    `ValueError` for features `[frames, bins]` of different shapes. Source: Salimi et al. 2025;
    scale-invariant error after Barron and Malik, "Shape, illumination, and reflectance from shading", 2015.
    Shown in notebooks/losses.md and notebooks/landscapes_1d.md.
    """

    stft: STFT = PAPER_STFT
    clip: bool = False
    name: str = "SIMSE_Spec"
    sample_rate: int | None = None

    def feature(self, audio: jax.Array) -> jax.Array:
        spectrogram = self.stft(audio)
        return jnp.clip(spectrogram, 0, 1) if self.clip else spectrogram

    def distance(self, a: jax.Array, b: jax.Array) -> jax.Array:
        check_shapes(a, b)
        energy = (b**2).sum()
        alpha = jnp.where(energy > 0, (a * b).sum() / jnp.where(energy > 0, energy, 1), 0)
        return ((a - jax.lax.stop_gradient(alpha) * b) ** 2).mean()
