"""Wavelet scattering: audio ─► how much each frequency band holds, and how fast that changes.

The filterbank (`bank`, `log2_decimation`, `morlet`, `lowpass`, `padded_length`) is plain float64 NumPy.
`TimeScattering` is the transform in JAX.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_SIGMA = 0.1  # bandwidth of the low-pass filter of one sample
_REACH = 14  # a low-pass filter of T samples is below 1e-16 of its peak beyond 14 T


def bank(J: int, Q: int) -> list[tuple[float, float]]:
    """The wavelets of scale up to `2^J` samples, `Q` per octave: `(xi, sigma)`, highest frequency first.

    Centre frequency and bandwidth in cycles per sample; `J ≥ 1`, `Q ≥ 1`. From `xi = max(1 / (1 + 2^(3/Q)),
    0.35)` downwards by `2^(-1/Q)` with `sigma` in proportion (neighbours meet at half power), until `sigma`
    reaches `0.1 / 2^J`; then `Q - 1` wavelets of that bandwidth at equal steps down to zero. Source: Andén
    and Mallat 2014; Andreux et al. 2020. Shown in notebooks/losses.md.
    """
    step, narrowest = 2 ** (-1 / Q), _SIGMA / 2**J
    xi = max(1 / (1 + 2 ** (3 / Q)), 0.35)
    sigma = xi * (1 - step) / (1 + step) / math.sqrt(math.log(2))
    if sigma <= narrowest:
        wavelets, elbow = [], sigma
    else:
        wavelets = [(xi, sigma)]
        while sigma > narrowest / step:
            xi, sigma = xi * step, sigma * step
            wavelets.append((xi, sigma))
        elbow = xi
    return wavelets + [(elbow * (1 - i / Q), narrowest) for i in range(1, Q)]


def log2_decimation(xi: float, sigma: float) -> int:
    """The largest `j` for which `2^j`-fold decimation keeps the band up to `|xi| + 5 sigma` (cycles per
    sample) below the new Nyquist frequency. Source: Andreux et al. 2020. Shown in notebooks/losses.md."""
    return math.floor(-math.log2(min(abs(xi) + 5 * sigma, 0.5))) - 1


def lowpass(n: int, sigma: float) -> np.ndarray:
    """The Gaussian low-pass filter in Fourier `[n]`, real, of bandwidth `sigma > 0` (cycles per sample).

    `exp(-f² / 2σ²)` summed over the periods of `f`, divided by the l1 norm of its impulse response.
    Source: Andén and Mallat 2014. Shown in notebooks/losses.md.
    """
    return _unit_l1(_gaussian(n, 0.0, sigma))


def morlet(n: int, xi: float, sigma: float) -> np.ndarray:
    """The Morlet wavelet in Fourier `[n]`, real: a Gaussian at `xi` less its leak at frequency zero.

    `exp(-(f - ξ)² / 2σ²) - κ exp(-f² / 2σ²)` summed over the periods of `f`, with κ such that the mean of the
    wavelet is zero, divided by the l1 norm of its impulse response. Cycles per sample; `xi` may be negative.
    Source: Andén and Mallat 2014. Shown in notebooks/losses.md.
    """
    band, leak = _gaussian(n, xi, sigma), _gaussian(n, 0.0, sigma)
    return _unit_l1(band - band[0] / leak[0] * leak)


def decimated(filters: np.ndarray, log2_step: int) -> np.ndarray:
    """The filters `[..., n]` as they act on sounds of `2^log2_step` times fewer samples: `[..., n /
    2^log2_step]`. The periods of the spectrum are **summed**, so the gain at each frequency stays."""
    return filters.reshape(*filters.shape[:-1], 2**log2_step, -1).sum(-2)


def padded_length(num_samples: int, T: int) -> int:
    """The power of two in which `num_samples` and three times the reach of the low-pass filter of `T` samples
    on both sides fit (beyond its reach lies 1e-3 of its l1 norm), at most what one reflection can fill.
    Source: Andreux et al. 2020. Shown in notebooks/losses.md."""
    response = np.abs(np.fft.ifft(lowpass(num_samples, _SIGMA / T)))[: num_samples // 2]
    tail = np.cumsum(response[::-1])[::-1]
    inside = np.flatnonzero(tail <= 1e-3)
    reach = inside[0] + 1 if inside.size else num_samples // 2
    return 2 ** min(math.ceil(math.log2(num_samples + 6 * reach)), int(math.log2(3 * num_samples - 2)))


def _gaussian(n: int, center: float, sigma: float) -> np.ndarray:
    f = np.arange(n) / n
    periods = min(math.ceil(math.sqrt(-2 * sigma**2 * math.log(1e-7)) + 1), 5)
    shift = np.arange(1 - periods, periods)[:, None] - center
    return np.exp(-((f + shift) ** 2) / (2 * sigma**2)).sum(0)


def _unit_l1(spectrum: np.ndarray) -> np.ndarray:
    return spectrum / np.abs(np.fft.ifft(spectrum)).sum()


class Paths(NamedTuple):
    """What the rows of a scattering transform are. `order [paths]` is 0, 1 or 2. Column 0 of `xi`, `sigma`
    (cycles per sample) and `j` `[paths, 2]` is the first wavelet, column 1 the second; NaN where there is
    none. `log2_gain [paths]`: kymatio 0.3.0 gives the row divided by `2^log2_gain`."""

    order: np.ndarray
    xi: np.ndarray
    sigma: np.ndarray
    j: np.ndarray
    log2_gain: np.ndarray


@dataclass(frozen=True)
class TimeScattering:
    """One-dimensional time scattering: audio `[samples]` ─► coefficients `[paths, frames]`, all ≥ 0 but the
    first row.

    `S0 = x * φ`, `S1 = |x * ψ1| * φ`, `S2 = ||x * ψ1| * ψ2| * φ` with Morlet wavelets ψ1 (`Q` per octave), ψ2
    (one per octave, only where slower than ψ1) and the Gaussian φ of `T = 2^J` samples; one frame every `T`
    samples, from the sound reflected at both ends. Each `|·|` is kept at the lowest rate that its wavelet
    allows. Rows are ordered as in `paths`; the unit is that of the audio.

    `J ≥ 1` and `Q ≥ 1` are whole numbers; `released` weighs the rows as kymatio 0.3.0 does, by `2^-log2_gain`
    (it averages the periods of a decimated filter where the sum is right), so that slow paths nearly vanish.
    Audio has one axis, is floating point (float64 is transformed in double precision) and has at least `2^J`
    samples, else `ValueError`. Use `vmap` for batches. Source: Andén and Mallat, "Deep scattering spectrum",
    2014; Andreux et al., "Kymatio", 2020. Shown in notebooks/losses.md.
    """

    J: int = 6
    Q: int = 1
    released: bool = False

    def __post_init__(self) -> None:
        for name, value in (("J", self.J), ("Q", self.Q)):
            if not (isinstance(value, int) and value >= 1):
                raise ValueError(f"{name} is {value!r}; it must be a whole number from 1 upwards")

    @property
    def paths(self) -> Paths:
        """The rows: order 0, then order 1 from high to low frequency, then order 2 by first wavelet."""
        none = (math.nan, math.nan, math.nan)
        first = [(*w, log2_decimation(*w)) for w in bank(self.J, self.Q)]
        second = [(*w, log2_decimation(*w)) for w in bank(self.J, 1)]
        rows = [(0, none, none, 0)]
        rows += [(1, a, none, a[2]) for a in first]
        rows += [(2, a, b, a[2] + b[2]) for a in first for b in second if b[2] > a[2]]
        wavelets = np.array([row[1:3] for row in rows])  # [paths, which, (xi, sigma, j)]
        order, gain = (np.array([row[i] for row in rows]) for i in (0, 3))
        return Paths(order, wavelets[..., 0], wavelets[..., 1], wavelets[..., 2], gain)

    @partial(jax.jit, static_argnums=0)
    def __call__(self, audio: jax.Array) -> jax.Array:
        if audio.ndim != 1:
            raise ValueError(f"audio has shape {audio.shape}; it must have one axis, [samples]")
        if not jnp.issubdtype(audio.dtype, jnp.floating):
            raise ValueError(f"audio is {audio.dtype}; it must be floating point")
        if audio.size < 2**self.J:
            raise ValueError(f"audio has {audio.size} samples; J = {self.J} needs at least {2**self.J}")
        plan = _plan(self.J, self.Q, audio.size)
        rows = jnp.concatenate(list(_orders(plan, jnp.pad(audio, plan.padding, mode="reflect"))))
        if self.released:
            rows *= (0.5 ** self.paths.log2_gain[:, None]).astype(rows.dtype)
        return rows


class _Plan(NamedTuple):
    """The filters in Fourier at the rate of the padded sound, wavelets of equal decimation together."""

    padding: tuple[int, int]
    frames: tuple[int, int]  # the first frame of the sound, and the first after it
    total: int  # frames of the padded sound
    first: list[tuple[int, np.ndarray]]  # (j, wavelets [n, samples])
    second: list[tuple[int, np.ndarray]]
    phi: np.ndarray


@lru_cache(maxsize=16)
def _plan(J: int, Q: int, num_samples: int) -> _Plan:
    T = 2**J
    n = padded_length(num_samples, T)
    left = (n - num_samples) // 2
    frames = (-(-left // T), -(-(left + num_samples) // T))

    def grouped(wavelets: list[tuple[float, float]]) -> list[tuple[int, np.ndarray]]:
        groups = groupby(wavelets, key=lambda w: log2_decimation(*w))
        return [(j, np.stack([morlet(n, *w) for w in group])) for j, group in groups]

    first, second = grouped(bank(J, Q)), grouped(bank(J, 1))
    return _Plan((left, n - num_samples - left), frames, n // T, first, second, lowpass(n, _SIGMA / T))


def _orders(plan: _Plan, x: jax.Array) -> Iterator[jax.Array]:
    """The rows of order 0, 1 and 2 `[paths, frames]` of the padded sound `x`."""
    n = x.size
    x_hat = _half_spectrum(x)
    yield _average(plan, x, 0)[None]
    second_order = []
    for j1, wavelets in plan.first:
        u1 = _modulus(jnp.fft.ifft(_band(x_hat, wavelets, n >> j1)))
        yield _average(plan, u1, j1)
        slower = [(j2, decimated(wavelets, j1)) for j2, wavelets in plan.second if j2 > j1]
        if not slower:
            continue
        u1_hat = _half_spectrum(u1)[:, None]
        averages = [
            _average(plan, _modulus(jnp.fft.ifft(_band(u1_hat, wavelets, n >> j2))), j2) for j2, wavelets in slower
        ]
        second_order.append(jnp.concatenate(averages, axis=1).reshape(-1, averages[0].shape[-1]))
    yield from second_order


def _half_spectrum(x: jax.Array) -> jax.Array:
    """`rfft` of `[..., n]`, through one complex transform of half the length (and so is its gradient)."""
    n = x.shape[-1]
    z = jnp.fft.fft(jax.lax.complex(x[..., 0::2], x[..., 1::2]))
    z = jnp.concatenate([z, z[..., :1]], -1)
    mirrored = jnp.conj(z[..., ::-1])
    turn = np.exp(-2j * np.pi * np.arange(n // 2 + 1) / n).astype(z.dtype)
    return 0.5 * (z + mirrored) - 0.5j * turn * (z - mirrored)


def _band(x_hat: jax.Array, filters: np.ndarray, m: int) -> jax.Array:
    """Filter and decimate: the spectrum `[..., m]` of the filtered sound at its new length `m`, from the half
    spectrum `x_hat [..., n/2 + 1]` of a real sound and filters `[..., n]`.

    Decimation adds up `n/m` periods of length `m`. The filters are zero in all but two: their decimation
    leaves 5 `sigma` up to the new Nyquist frequency, hence 10 and more on either side of those two.
    """
    n, real = filters.shape[-1], x_hat.real.dtype
    filters = (filters * (m / n)).astype(real)
    if m == n:
        return jnp.concatenate([x_hat, jnp.conj(x_hat[..., -2:0:-1])], -1) * filters
    above, below = x_hat[..., :m], jnp.conj(x_hat[..., m:0:-1])
    return above * filters[..., :m] + below * filters[..., n - m :]


def _modulus(z: jax.Array) -> jax.Array:
    """`|z|`, with derivative zero where `z` is zero."""
    power = z.real**2 + z.imag**2
    return jnp.where(power > 0, jnp.sqrt(jnp.where(power > 0, power, 1)), 0)


def _average(plan: _Plan, u: jax.Array, j: int) -> jax.Array:
    """Low-pass `u [..., n]`, of rate `2^-j`, and keep one value per frame of the sound: `[..., frames]`.

    In time: cut into blocks of one frame, `S[f] = Σ_b Σ_r u[f - b, r] φ[b R - r]`. The sum over `r` is a
    matrix product; the sum over `b` runs along the diagonals of its result, which padding and reshaping turn
    into columns.
    """
    phi = decimated(plan.phi, j)
    response, R = np.fft.ifft(phi).real, phi.size // plan.total
    count = min(2 * _REACH + 1, plan.total)
    b = np.arange(count) - (count - 1) // 2
    taps = response[(b[:, None] * R - np.arange(R)) % phi.size].astype(u.dtype)

    start, stop = plan.frames[0] - b[-1], plan.frames[1] - b[0]  # the blocks that reach a frame
    blocks = u.reshape(*u.shape[:-1], plan.total, R)
    axes = [(0, 0)] * (blocks.ndim - 2)
    blocks = jnp.pad(blocks, [*axes, (max(0, -start), max(0, stop - plan.total)), (0, 0)], mode="wrap")
    blocks = blocks[..., max(0, start) : max(0, start) + stop - start, :]

    parts = jnp.einsum("br,...fr->...bf", taps, blocks)
    width = stop - start + count - 1
    flat = jnp.pad(parts, [*axes, (0, 0), (0, count)]).reshape(*u.shape[:-1], -1)
    columns = flat[..., : count * width].reshape(*u.shape[:-1], count, width)
    return columns.sum(-2)[..., count - 1 : count - 1 + plan.frames[1] - plan.frames[0]]
