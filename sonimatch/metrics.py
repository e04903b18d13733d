"""Scores of a finished match. They are read, never differentiated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from sonimatch.features import STFT, mel_filterbank


def P_loss(theta: ArrayLike, theta_true: ArrayLike, released: bool = False) -> jax.Array:
    """Distance of parameters in the unit cube, `[..., P]` and `[..., P]` to `[...]`.

    Published: `mean_p |θ_p - θ*_p|`. With `released`, what the code of the study computes: the Euclidean norm
    in the coordinates [-1, 1] of its search, `2 ||θ - θ*||₂`. Nothing is clipped: a search that left the cube
    pays for it. NaN stays NaN. Raises `ValueError` if the last axes differ or are missing. Source: Salimi et
    al. 2025. Shown in notebooks/losses.md.
    """
    theta, theta_true = jnp.asarray(theta), jnp.asarray(theta_true)
    if theta.shape[-1:] != theta_true.shape[-1:] or not theta.ndim:
        raise ValueError(f"parameters {theta.shape} and {theta_true.shape}; their last axes must be equal")
    difference = theta - theta_true
    return 2 * jnp.linalg.norm(difference, axis=-1) if released else jnp.abs(difference).mean(-1)


@dataclass(frozen=True)
class MSS:
    """Multi-scale spectral distance of two sounds `[samples]` at `sample_rate` Hz, a scalar.

    `sum_k mean |A_k - B_k| + mean |log(A_k + ε) - log(B_k + ε)|` over the transforms `stfts` (natural
    logarithm), after dividing each sound by its peak: the largest sample, or the largest magnitude with
    `peak_of_magnitude`. With `n_mels`, spectrograms are first summed into that many mel bands from 60 Hz to
    half the sample rate. 0 at equality. A silent sound scores NaN, and with ε = 0 so does an empty band in
    both sounds: scores that are not finite stay so and are for the caller to count. Raises `ValueError` for
    sounds of different shapes, and what `STFT` raises. Source: Salimi et al. 2025 for `PAPER_MSS`; J. Engel
    et al., "DDSP", 2020, for the sum of a linear and a logarithmic term. Shown in notebooks/losses.md.
    """

    stfts: tuple[STFT, ...] = tuple(STFT(w, 100, w, w // 2) for w in (512, 1024, 2048, 4096))
    n_mels: int | None = None
    epsilon: float = 1e-5
    peak_of_magnitude: bool = True
    sample_rate: int = 44100
    name: str = "MSS"

    @partial(jax.jit, static_argnums=0)
    def __call__(self, target: jax.Array, candidate: jax.Array) -> jax.Array:
        if target.shape != candidate.shape:
            raise ValueError(f"sounds have shapes {target.shape} and {candidate.shape}; they must be equal")
        score = jnp.zeros(())
        for stft in self.stfts:
            a, b = (self._spectrogram(stft, sound) for sound in (target, candidate))
            log_a, log_b = jnp.log(a + self.epsilon), jnp.log(b + self.epsilon)
            score += jnp.abs(a - b).mean() + jnp.abs(log_a - log_b).mean()
        return score

    def _spectrogram(self, stft: STFT, sound: jax.Array) -> jax.Array:
        alike = [other.fft_length for other in self.stfts if replace(other, fft_length=stft.fft_length) == stft]
        longest = max(alike) if min(alike) >= stft.window_length else stft.fft_length
        step, rest = divmod(longest, stft.fft_length)  # frames padded further have the same bins, and more between them
        stft, step = (stft, 1) if rest else (replace(stft, fft_length=longest), step)
        spectrogram = stft(sound / (jnp.abs(sound) if self.peak_of_magnitude else sound).max())[:, ::step]
        if self.n_mels is None:
            return spectrogram
        bank = mel_filterbank(self.sample_rate, stft.fft_length // step, self.n_mels, 60.0, self.sample_rate / 2)
        return jnp.matmul(spectrogram, jnp.asarray(bank, sound.dtype), precision="highest")


PAPER_MSS = MSS()
"""The published "hop 100, window lengths 512, 1024, 2048, 4096". The text is silent on the rest; our reading:
centred Hann windows with reflected ends, FFT as long as the window, magnitudes divided by the window's l2
norm (so that the four sizes weigh alike), linear and logarithmic term with ε = 1e-5, sounds normalised to
peak 1."""

RELEASED_MSS = MSS(
    stfts=tuple(STFT(400, 20, n, pad=0, normalize=False) for n in (512, 1024, 2048, 4096)),
    n_mels=32, epsilon=0.0, peak_of_magnitude=False,
)  # fmt: skip
"""What the released code of the study computes: one window of 400 samples, hop 20, zero-padded to 512 ...
4096, so one resolution four times; 32 mel bands (HTK scale, peak 1) of magnitudes, no centring, no ε, sounds
divided by their largest sample, which is not the peak when that is negative."""
