"""Where the energy of a sound lies in frequency, and where in time: the marginals of its distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sonimatch.features import absolute, mono
from sonimatch.losses.l1_spec import check_shapes, mean_absolute_difference

_FLOOR = 1e-16  # of energies: silence has no marginals; its square is still a number in single precision


class Marginal(NamedTuple):
    """The energy up to each frequency `[bins]` as a share of all, the natural logarithm of that in each band `[bands]`
    (as an amplitude), the level over time `[frames]` in units of its mean, and the level of the whole (logarithm)."""

    cumulative: jax.Array
    bands: jax.Array
    course: jax.Array
    level: jax.Array


@dataclass(frozen=True)
class Marginals:
    """`L = ((d_C + ε) (d_D + ε) (d_E + ε))^(1/3)`: the geometric mean of two distances in frequency and one in time.

    Of the whole sound `x`, `P = |FFT(w x)|²` under one Hann window `w` of unit norm, along
    `g(f) = log(1 + f / knee) / log(1 + f_N / knee)`, which is 0 at 0 and 1 at half the sample rate `f_N`.
    `d_C = sum |C - C*| Δg`, with `C` the cumulative sum of `P` over its sum: the Wasserstein-1 distance of two
    distributions of energy. It knows how far a narrow line has moved, as a difference of spectra does not.
    `d_D = mean |D - D*| + ¼ |A - A*|`, `D = ½ log(P in a band / P in all + 1e-5)`, in `n_bands` triangular bands,
    equally spaced along `g` and half overlapping: the shape of noise, whose single lines are chance.
    `d_E = mean |S - S*| + ¼ |A - A*|`, with `S = E / mean E`, `E` the RMS of frames of two hops, one hop apart, and
    `A = ½ log(mean x² + 1e-8)`.
    They have no common unit, hence the product; ε keeps a slope in the one where another is 0.

    `knee > 0` in cycles per sample (20 Hz at 44.1 kHz), `hop_length >= 1` in samples, `n_bands >= 2`, `ε > 0`. ε at
    equality and larger elsewhere; of a sound's gain it hears `A` alone. `feature` takes float audio `[samples]`, at
    least three hops, and gives a `Marginal`; `distance` takes two of sounds of one length. `ValueError` for anything
    else. Shown in notebooks/losses.md.
    """

    n_bands: int = 28
    knee: float = 1 / 2205
    hop_length: int = 441
    epsilon: float = 1e-4
    name: str = "Marginals"
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        for setting, least in {"n_bands": 2, "hop_length": 1}.items():
            if getattr(self, setting) < least:
                raise ValueError(f"{setting} is {getattr(self, setting)}; it must be at least {least}")
        for setting in ("knee", "epsilon"):
            if not getattr(self, setting) > 0:
                raise ValueError(f"{setting} is {getattr(self, setting)}; it must be positive")

    def scale(self, n_bins: int) -> np.ndarray:
        """`g` at the frequencies `[n_bins]` of a spectrum."""
        return np.log1p(np.linspace(0, 0.5, n_bins) / self.knee) / np.log1p(0.5 / self.knee)

    def feature(self, audio: jax.Array) -> Marginal:
        audio = mono(audio, least=3 * self.hop_length)
        window = np.hanning(audio.size)
        spectrum = jnp.fft.rfft(audio * jnp.asarray(window / np.linalg.norm(window), audio.dtype))
        power = spectrum.real**2 + spectrum.imag**2
        total = power.sum() + _FLOOR
        centres = np.arange(self.n_bands)[:, None]
        triangles = np.maximum(0, 1 - np.abs((self.n_bands - 1) * self.scale(power.size) - centres))
        hops = (audio[: audio.size // self.hop_length * self.hop_length] ** 2).reshape(-1, self.hop_length).mean(1)
        course = jnp.sqrt((hops[1:] + hops[:-1]) / 2 + _FLOOR)
        return Marginal(
            cumulative=jnp.cumsum(power) / total,
            bands=jnp.log(jnp.asarray(triangles, audio.dtype) @ power / total + 1e-5) / 2,
            course=course / course.mean(),
            level=jnp.log((audio**2).mean() + 1e-8) / 2,
        )

    def distance(self, a: Marginal, b: Marginal) -> jax.Array:
        check_shapes(a, b)
        steps = jnp.asarray(np.diff(self.scale(a.cumulative.size)), a.cumulative.dtype)
        level = absolute(a.level - b.level) / 4
        factors = jnp.stack([
            (absolute(a.cumulative - b.cumulative)[:-1] * steps).sum(),
            mean_absolute_difference(a.bands, b.bands) + level,
            mean_absolute_difference(a.course, b.course) + level,
        ])  # fmt: skip
        return jnp.exp(jnp.log(factors + self.epsilon).mean())
