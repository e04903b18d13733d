"""Where the energy of a sound lies in frequency, and where in time: the two marginals of its distribution."""

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
    """The energy up to each frequency `[bins]` as a share of all, the level over time `[frames]` in units of its
    mean, the level of the whole (natural logarithm of an amplitude), and, if asked for, that of each band `[bands]`."""

    cumulative: jax.Array
    course: jax.Array
    level: jax.Array
    bands: jax.Array


@dataclass(frozen=True)
class Marginals:
    """`L = sqrt((d_C + ε) (d_E + ε))`: the geometric mean of a distance in frequency and one in time.

    Frequency: `d_C = sum |C - C*| Δg`, with `C` the cumulative sum of `P = |FFT(w x)|²` over its sum, of the whole
    sound `x` under one Hann window `w` of unit norm, along `g(f) = log(1 + f / knee) / log(1 + f_N / knee)`, which is
    0 at 0 and 1 at half the sample rate `f_N`: the Wasserstein-1 distance of two distributions of energy. It knows how
    far a narrow line has moved, as a difference of spectra does not.
    Time: `d_E = mean |S - S*| + ¼ |A - A*|`, with `S = E / mean E`, `E` the RMS of frames of two hops, one hop apart,
    and `A = ½ log(mean x² + 1e-8)`.
    They have no common unit, hence the product; ε keeps a slope in the one where the other is 0.
    With `n_bands` there is a third factor, for the shape of noise, and the cube root instead:
    `d_D = mean |D - D*| + ¼ |A - A*|`, `D = ½ log(P in a band / P in all + 1e-5)` in as many equal bands of `g`.

    `knee > 0` in cycles per sample (20 Hz at 44.1 kHz), `hop_length >= 1` in samples, `n_bands >= 0`, `ε > 0`. ε at
    equality and larger elsewhere; of a sound's gain it hears `A` alone. `feature` takes float audio `[samples]`, at
    least three hops, and gives a `Marginal`; `distance` takes two of sounds of one length. `ValueError` for anything
    else. Shown in notebooks/losses.md.
    """

    n_bands: int = 0
    knee: float = 1 / 2205
    hop_length: int = 441
    epsilon: float = 1e-4
    name: str = "Marginals"
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        for setting, least in {"n_bands": 0, "hop_length": 1}.items():
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
        hops = (audio[: audio.size // self.hop_length * self.hop_length] ** 2).reshape(-1, self.hop_length).mean(1)
        course = jnp.sqrt((hops[1:] + hops[:-1]) / 2 + _FLOOR)
        edges = np.searchsorted(self.scale(power.size), np.linspace(0, 1, self.n_bands + 1)[1:-1])
        bands = [band.sum() for band in jnp.split(power, edges)] if self.n_bands else []
        return Marginal(
            cumulative=jnp.cumsum(power) / total,
            course=course / course.mean(),
            level=jnp.log((audio**2).mean() + 1e-8) / 2,
            bands=jnp.log(jnp.array(bands) / total + 1e-5) / 2,
        )

    def distance(self, a: Marginal, b: Marginal) -> jax.Array:
        check_shapes(a, b)
        steps = jnp.asarray(np.diff(self.scale(a.cumulative.size)), a.cumulative.dtype)
        level = absolute(a.level - b.level) / 4
        factors = [
            (absolute(a.cumulative - b.cumulative)[:-1] * steps).sum(),
            mean_absolute_difference(a.course, b.course) + level,
        ]
        if self.n_bands:
            factors.append(mean_absolute_difference(a.bands, b.bands) + level)
        return jnp.exp(jnp.log(jnp.stack(factors) + self.epsilon).mean())
