"""Audio to arrays: the short-time Fourier transform, its envelope over time, and a mel filter bank."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class STFT:
    """Magnitude of the short-time Fourier transform, a function from audio `[samples]` to `[frames, bins]`.

    `S[t, f] = |sum_n w[n] x[n + t hop_length] exp(-2πi f n / fft_length)| / ||w||₂`, where `x` is the audio
    extended by `pad` samples on both sides (reflected, edge samples not repeated) and `w` is the symmetric
    Hann window. Magnitudes have the unit of the audio; with the division by `||w||₂`, white noise of standard
    deviation σ has a mean square of σ² in every bin (but the first and the last), whatever the window.

    - `window_length`, `hop_length`, `fft_length`: samples, at least 1. If the FFT is longer than the window,
      frames are padded with zeros; if it is shorter, only the first `fft_length` windowed samples enter.
    - `pad`: samples, at least 0. `normalize`: divide by the window's l2 norm, or not.

    `frames = 1 + (samples + 2 pad - window_length) // hop_length` and `bins = fft_length // 2 + 1`. At
    silence the value and the gradient are 0. Raises `ValueError` when a setting is out of range, and when the
    audio is not one-dimensional, not floating-point or too short. Batch it with `vmap`. Shown in
    notebooks/losses.md.
    """

    window_length: int = 600
    hop_length: int = 100
    fft_length: int = 1024
    pad: int = 300
    normalize: bool = True

    def __post_init__(self) -> None:
        for setting, least in {"window_length": 1, "hop_length": 1, "fft_length": 1, "pad": 0}.items():
            if getattr(self, setting) < least:
                raise ValueError(f"{setting} is {getattr(self, setting)}; it must be at least {least}")

    @property
    def window(self) -> np.ndarray:
        """The symmetric Hann window `[window_length]`, divided by its l2 norm if `normalize`."""
        window = np.hanning(self.window_length)
        return window / np.linalg.norm(window) if self.normalize else window

    def __call__(self, audio: jax.Array) -> jax.Array:
        audio = mono(audio, least=max(self.window_length - 2 * self.pad, self.pad + 1))
        frames = _frames(jnp.pad(audio, self.pad, mode="reflect"), self.window_length, self.hop_length)
        return _magnitude(jnp.fft.rfft(frames * jnp.asarray(self.window, audio.dtype), self.fft_length))


PAPER_STFT = STFT()
"""The published settings as we read them: "512 FFT bins, window 600, hop 100" is the whole window of 600
samples, zero-padded to 1024 (512 bins and the Nyquist bin); centred frames, reflected ends. One second at
44.1 kHz: 442 x 513.
"""

RELEASED_STFT = STFT(fft_length=512, pad=256)
"""What the released code of the study computes: an FFT of 512 over the first 512 samples of a windowed frame
of 600, so that the window breaks off at 0.198 instead of falling to 0. One second at 44.1 kHz: 441 x 257.
"""


def _frames(audio: jax.Array, length: int, hop: int) -> jax.Array:
    """`frames[t] = audio[t hop : t hop + length]`, put together from blocks of one hop: quicker than a gather, and its
    derivative needs no scatter."""
    count, blocks = 1 + (audio.size - length) // hop, -(-length // hop)
    size = (count + blocks - 1) * hop
    rows = jnp.pad(audio, (0, max(0, size - audio.size)))[:size].reshape(-1, hop)
    return jnp.concatenate([rows[k : k + count] for k in range(blocks)], axis=1)[:, :length]


def _magnitude(spectrum: jax.Array) -> jax.Array:
    """`|z|` with derivative 0 at 0, where that of `abs` is NaN."""
    return root(spectrum.real**2 + spectrum.imag**2)


def root(x: jax.Array) -> jax.Array:
    """`sqrt(x)` of numbers from 0 upwards, with derivative 0 at 0."""
    return jnp.where(x == 0, 0, jnp.sqrt(jnp.where(x == 0, 1, x)))


def absolute(x: jax.Array) -> jax.Array:
    """`|x|` with derivative 0 at 0, where that of `jnp.abs` is 1."""
    return x * jnp.sign(x)


def mono(audio: jax.Array, least: int = 1) -> jax.Array:
    """The audio, if it is float `[samples]` and has at least so many of them, else `ValueError`."""
    audio = jnp.asarray(audio)
    if audio.ndim != 1 or not jnp.issubdtype(audio.dtype, jnp.floating):
        raise ValueError(f"audio is {audio.dtype}{list(audio.shape)}; it must be float [samples]")
    if audio.size < least:
        raise ValueError(f"audio has {audio.size} samples; this needs at least {least}")
    return audio


def envelope(spectrogram: jax.Array, sigma_frames: float = 3.0, radius_frames: int = 10) -> jax.Array:
    """The course of loudness: a spectrogram `[frames, bins]` summed over frequency and smoothed, `[frames]`.

    `e[t] = sum_{|k| <= radius} g[k] sum_f S[t - k, f]`, `g[k] ∝ exp(-k² / 2σ²)` with unit sum; frames beyond
    the ends count as 0, so the envelope sinks there. `sigma_frames > 0` and `radius_frames >= 0` in frames;
    else `ValueError`. Shown in notebooks/losses.md.
    """
    if spectrogram.ndim != 2:
        raise ValueError(f"spectrogram has shape {list(spectrogram.shape)}; it must be [frames, bins]")
    if sigma_frames <= 0 or radius_frames < 0:
        raise ValueError(f"sigma_frames {sigma_frames}, radius_frames {radius_frames}: need > 0, >= 0")
    gauss = np.exp(-0.5 * (np.arange(-radius_frames, radius_frames + 1) / sigma_frames) ** 2)
    kernel = jnp.asarray(gauss / gauss.sum(), spectrogram.dtype)
    return jnp.convolve(jnp.pad(spectrogram.sum(1), radius_frames), kernel, mode="valid", precision="highest")


def mel_filterbank(sample_rate: float, fft_length: int, n_mels: int, f_min: float, f_max: float) -> np.ndarray:
    """Triangular filters `[bins, n_mels]` of peak 1, equally spaced in mel, `2595 log10(1 + f / 700)`.

    Band `m` rises from edge `m` to edge `m + 1` and falls to edge `m + 2` of `n_mels + 2` edges from `f_min`
    to `f_max` (Hz, `0 <= f_min < f_max <= sample_rate / 2`, else `ValueError`). Source: S. Young et al., The
    HTK Book. Shown in notebooks/losses.md.
    """
    if not 0 <= f_min < f_max <= sample_rate / 2:
        raise ValueError(f"f_min {f_min}, f_max {f_max}: need 0 <= f_min < f_max <= {sample_rate / 2}")
    mel_low, mel_high = 2595 * np.log10(1 + np.array([f_min, f_max]) / 700)
    edges = 700 * (10 ** (np.linspace(mel_low, mel_high, n_mels + 2) / 2595) - 1)
    above = np.fft.rfftfreq(fft_length, 1 / sample_rate)[:, None] - edges
    rise, fall = above[:, :-2] / np.diff(edges)[:-1], -above[:, 2:] / np.diff(edges)[1:]
    return np.maximum(0, np.minimum(rise, fall))


@dataclass(frozen=True)
class CQT:
    """Magnitude of the constant-Q transform, a function from audio `[samples]` to `[frames, bins]`.

    `C[t, k] = √ℓ_k |Σ_n w_k[n - t hop_length] x[n] exp(-2πi f_k n / sample_rate)|` with `f_k = f_min 2^(k / b)` for b =
    `bins_per_octave`, and `w_k` the Hann window of `ℓ_k = Q sample_rate / f_k` samples, centred and divided by its sum;
    `Q = (2^(2/b) + 1) / (2^(2/b) - 1)`, so that neighbours meet. Beyond its ends the audio is 0. A sine of amplitude a
    at `f_k` gives `a √ℓ_k / 2`. It is what librosa's `cqt` approximates by resampling octave by octave.

    `f_min` and `sample_rate` in Hz; the highest bin with its window's main lobe lies below half the sample rate.
    `frames = 1 + samples // hop_length`. One product with all filters in Fourier, at positive frequencies: what leaks
    to negative ones, 2e-4 of a value, is left out. Derivative 0 at silence. `ValueError` when a setting is out of
    range, and for audio that is not floating-point `[samples]`. Source: Brown, "Calculation of a constant Q spectral
    transform", 1991.
    """

    sample_rate: int
    f_min: float = 32.703
    n_bins: int = 84
    bins_per_octave: int = 12
    hop_length: int = 512

    def __post_init__(self) -> None:
        for setting in ("sample_rate", "f_min", "n_bins", "bins_per_octave", "hop_length"):
            if not getattr(self, setting) > 0:
                raise ValueError(f"{setting} is {getattr(self, setting)}; it must be positive")
        highest = self.frequencies_hz[-1] * (1 + 2 / self._Q)
        if 2 * highest > self.sample_rate:
            raise ValueError(
                f"the highest bin reaches {highest:.0f} Hz; it must lie below half the sample rate of "
                f"{self.sample_rate} Hz: take fewer bins (n_bins is {self.n_bins}) or a lower f_min ({self.f_min} Hz)"
            )

    @property
    def _Q(self) -> float:
        ratio = 2 ** (2 / self.bins_per_octave)
        return (ratio + 1) / (ratio - 1)

    @property
    def frequencies_hz(self) -> np.ndarray:
        """`f_k`, `[bins]`."""
        return self.f_min * 2 ** (np.arange(self.n_bins) / self.bins_per_octave)

    def __call__(self, audio: jax.Array) -> jax.Array:
        audio = mono(audio)
        lengths = self._Q * self.sample_rate / self.frequencies_hz
        frames = 1 + audio.size // self.hop_length
        blocks = 1 << math.ceil(math.log2(frames + lengths[0] / 2 / self.hop_length))
        size = blocks * self.hop_length
        time = (np.arange(size) + size // 2) % size - size // 2  # 0 is in the middle of each filter
        inside = np.abs(time) < lengths[:, None] / 2
        windows = np.where(inside, 0.5 + 0.5 * np.cos(2 * np.pi * time / lengths[:, None]), 0)
        turns = np.exp(2j * np.pi * self.frequencies_hz[:, None] / self.sample_rate * time)
        weights = np.sqrt(lengths) / windows.sum(1) / self.hop_length
        filters = np.fft.fft(windows * turns * weights[:, None]).real[:, : size // 2]  # real, for they are symmetric
        spectrum = jnp.fft.rfft(audio, size)[: size // 2] * jnp.asarray(filters, audio.dtype)
        # Of the filtered sound every `hop_length`-th sample is kept: the periods of its spectrum are added up.
        return _magnitude(jnp.fft.ifft(spectrum.reshape(self.n_bins, -1, blocks).sum(1))[:, :frames]).T
