"""The mean absolute difference of two log-mel spectrograms."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from sonimatch.features import STFT, mel_filterbank
from sonimatch.losses.l1_spec import mean_absolute_difference


@dataclass(frozen=True)
class LogMel:
    """`L = mean_{t,m} |log(A[t, m] + ε) - log(B[t, m] + ε)|` between mel spectrograms, in nepers.

    Magnitudes of `stft` are summed into `n_mels` bands of `mel_filterbank` from `f_min` Hz to half the sample rate.
    ε, in the unit of the audio, is the level below which nothing is heard. 0 at equality, with derivative 0, and
    positive elsewhere; a gain counts by its logarithm, and a soft band as much as a loud one.

    `f_min` in Hz, from 0 to less than half of `sample_rate`, the only one it takes; `n_mels >= 1` and `ε > 0`; else
    `ValueError`. `feature` takes audio `[samples]` and gives `[frames, n_mels]`; `distance` raises `ValueError` for
    features of different shapes. Source: S. Young et al., The HTK Book, for the scale; J. Engel et al., "DDSP", 2020,
    for a difference of logarithms. Shown in notebooks/losses.md.
    """

    stft: STFT = STFT(2048, 512, 2048, pad=1024)  # noqa: RUF009 (frozen)
    n_mels: int = 64
    f_min: float = 20.0
    epsilon: float = 1e-5
    name: str = "LogMel"
    sample_rate: int = 44100

    def __post_init__(self) -> None:
        if not (0 <= self.f_min < self.sample_rate / 2 and self.n_mels >= 1 and self.epsilon > 0):
            raise ValueError(
                f"f_min is {self.f_min}, n_mels {self.n_mels}, epsilon {self.epsilon}; "
                f"they must be from 0 to less than {self.sample_rate / 2:g}, at least 1 and positive"
            )

    def feature(self, audio: jax.Array) -> jax.Array:
        spectrogram = self.stft(audio)
        bank = mel_filterbank(self.sample_rate, self.stft.fft_length, self.n_mels, self.f_min, self.sample_rate / 2)
        bands = jnp.matmul(spectrogram, jnp.asarray(bank, spectrogram.dtype), precision="highest")
        return jnp.log(bands + self.epsilon)

    def distance(self, a: jax.Array, b: jax.Array) -> jax.Array:
        return mean_absolute_difference(a, b)
