"""Time scattering: how much each frequency band holds, and how fast that changes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sonimatch.scattering.filterbank import SIGMA, bank, log2_decimation, lowpass, morlet, padded_length

_REACH = 14  # a low-pass filter of T samples is below 1e-16 of its peak beyond 14 T


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
    first row (up to rounding).

    `S0 = x * φ`, `S1 = |x * ψ1| * φ`, `S2 = ||x * ψ1| * ψ2| * φ` with Morlet wavelets ψ1 (`Q` per octave), ψ2
    (one per octave, only where slower than ψ1) and the Gaussian φ of `T = 2^J` samples; one frame every `T`
    samples, from the sound reflected at both ends. Each `|·|` is kept at the lowest rate that its wavelet
    allows. Rows are ordered as in `paths`; the unit is that of the audio.

    `J ≥ 1` and `Q ≥ 1` are whole numbers; `released` weighs the rows as kymatio 0.3.0 does, by `2^-log2_gain`
    (it averages the periods of a decimated filter where the sum is right), so that slow paths nearly vanish.
    Audio has one axis, is float32 or float64 (then all is in double precision) and has at least `2^J` samples,
    else `ValueError`. Use `vmap` for batches. Source: Andén and Mallat, "Deep scattering spectrum",
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

    def __call__(self, audio: jax.Array) -> jax.Array:
        audio = _checked(audio, self.J)
        rows = _transform(audio, self.J, self.Q)
        if self.released:
            rows *= (0.5 ** self.paths.log2_gain[:, None]).astype(rows.dtype)
        return rows


def _checked(audio: jax.Array, J: int) -> jax.Array:
    audio = jnp.asarray(audio)
    if audio.ndim != 1:
        raise ValueError(f"audio has shape {audio.shape}; it must have one axis, [samples]")
    if audio.dtype not in (jnp.float32, jnp.float64):
        raise ValueError(f"audio is {audio.dtype}; it must be float32 or float64")
    if audio.size < 2**J:
        raise ValueError(f"audio has {audio.size} samples; J = {J} needs at least {2**J}")
    return audio


class _Plan(NamedTuple):
    """The filters in Fourier at the rate of the padded sound; wavelets by decimation: `{j: (numbers,
    filters [n, samples])}`."""

    padding: tuple[int, int]
    frames: tuple[int, int]  # the first frame of the sound, and the first after it
    total: int  # frames of the padded sound
    first: dict[int, tuple[list[int], np.ndarray]]
    second: dict[int, tuple[list[int], np.ndarray]]
    phi: np.ndarray


@lru_cache(maxsize=16)
def _plan(J: int, Q: int, num_samples: int) -> _Plan:
    T, wavelets = 2**J, (bank(J, Q), bank(J, 1))
    length = padded_length(num_samples, T)
    left = (length - num_samples) // 2
    frames = (-(-left // T), -(-(left + num_samples) // T))
    n, skipped = _shorter(length, left, num_samples, T, min(sigma for _, sigma in wavelets[0] + wavelets[1]))

    def grouped(wavelets: list[tuple[float, float]]) -> dict[int, tuple[list[int], np.ndarray]]:
        groups: dict[int, list[int]] = {}
        for i, wavelet in enumerate(wavelets):
            groups.setdefault(log2_decimation(*wavelet), []).append(i)
        return {j: (ids, np.stack([morlet(n, *wavelets[i]) for i in ids])) for j, ids in groups.items()}

    return _Plan(
        padding=(left - skipped * T, n - num_samples - left + skipped * T),
        frames=(frames[0] - skipped, frames[1] - skipped),
        total=n // T,
        first=grouped(wavelets[0]),
        second=grouped(wavelets[1]),
        phi=lowpass(n, SIGMA / T),
    )


def _shorter(n: int, left: int, num_samples: int, T: int, narrowest: float) -> tuple[int, int]:
    """A length below `n`, and the frames left out on the left, that give the same coefficients: what three
    filters in a row cannot reach need not be transformed. 5/8, 3/4 and 7/8 of a power of two are quick."""
    reach = _REACH * T + 2 * 8 / (2 * math.pi * narrowest)
    for shorter in (n * 5 // 8, n * 3 // 4, n * 7 // 8):
        skipped = (n - shorter) // (2 * T)
        before = left - skipped * T
        if shorter % T == 0 and min(before, shorter - before - num_samples) >= reach:
            return shorter, skipped
    return n, 0


@partial(jax.jit, static_argnums=(1, 2))
def _transform(audio: jax.Array, J: int, Q: int) -> jax.Array:
    """The coefficients `[paths, frames]`, rate by rate: all that is decimated by `2^j` goes through one
    inverse transform, one modulus and one transform; all rows through one low-pass filter at the end."""
    plan = _plan(J, Q, audio.size)
    x = jnp.pad(audio, plan.padding, mode="reflect")
    x_hat = _coefficients(x.reshape(-1, 2).T, x.size // 2 + 1)
    first, first_hat, rows, labels = [], x_hat[None][:0], [], []
    for j in sorted({*plan.first, *plan.second}):
        m, new, bands = x.size >> j, [], []
        if j in plan.first:
            new, wavelets = plan.first[j]
            bands.append(_band(x_hat, wavelets, m))
        if j in plan.second and first:
            numbers, wavelets = plan.second[j]
            pairs = _band(first_hat[:, None], wavelets, m)
            bands.append(pairs.reshape(-1, *pairs.shape[-2:]))
            labels += [(2, n1, n2) for n1 in first for n2 in numbers]
        count = max(m // 4 + 1, plan.total)  # what the next rate and the low-pass filter need
        u_hat = _coefficients(_modulus(jnp.fft.ifft(jnp.concatenate(bands))), count)
        rows.append(u_hat[len(new) :, : plan.total])
        first, first_hat = first + new, jnp.concatenate([first_hat[:, :count], u_hat[: len(new)]])
    rows += [x_hat[None, : plan.total], first_hat[:, : plan.total]]
    labels += [(0, 0, 0), *((1, n1, 0) for n1 in first)]
    order = sorted(range(len(labels)), key=labels.__getitem__)
    return _average(plan, jnp.concatenate(rows))[np.array(order)]


def _coefficients(u: jax.Array, count: int) -> jax.Array:
    """The first `count` Fourier coefficients `[..., count]` of real sounds of `n` samples, given as their even
    and their odd samples, `u [..., 2, n/2]`.

    One complex transform `Z` of `even + i odd` has both: `E[k] = (Z[k] + Z*[-k]) / 2` and `O[k] = (Z[k] -
    Z*[-k]) / 2i`; that of the sound is `E[k] + exp(-2πi k / n) O[k]`. Divided by `n`, it depends on no rate.
    """
    z_hat = jnp.fft.fft(jax.lax.complex(u[..., 0, :], u[..., 1, :]))
    n = 2 * z_hat.shape[-1]
    z_hat = jnp.concatenate([z_hat, z_hat[..., :1]], -1)
    above, below = z_hat[..., :count], jnp.conj(z_hat[..., ::-1][..., :count])
    turn = (np.exp(-2j * np.pi * np.arange(count) / n) / (2j * n)).astype(z_hat.dtype)
    return (above + below) / (2 * n) + (above - below) * turn


def _periods(x_hat: jax.Array, filters: np.ndarray, m: int) -> tuple[jax.Array, jax.Array]:
    """The spectrum `[..., m]` of a filtered sound at its new length `m`, its positive and its negative half, from the
    first Fourier coefficients of a real sound and filters `[..., n]`.

    Decimation adds up the periods of a spectrum. The filters leave 5 `sigma` up to the new Nyquist frequency: what lies
    beyond is one more period at most above it, and nothing below its negative.
    """
    n, h = filters.shape[-1], m // 2
    filters = (filters * h).astype(x_hat.real.dtype)
    above, below = x_hat[..., :h] * filters[..., :h], jnp.conj(x_hat[..., h:0:-1]) * filters[..., n - h :]
    if m < n and np.abs(filters[..., h:m]).max() > 1e-18 * h:
        below += x_hat[..., h:m] * filters[..., h:m]
    return above, below


def _band(x_hat: jax.Array, filters: np.ndarray, m: int) -> jax.Array:
    """Filter and decimate: the spectra `[..., 2, m/2]` of the even and of the odd samples of the filtered sound at
    its new length `m`: its halves (`_periods`) added up, for the odd samples after a turn of `exp(2πi k / m)`."""
    above, below = _periods(x_hat, filters, m)
    turn = np.exp(2j * np.pi * np.arange(m // 2) / m).astype(x_hat.dtype)
    return jnp.stack([above + below, (above - below) * turn], -2)


def _modulus(z: jax.Array) -> jax.Array:
    """`|z|`, with derivative zero where `z` is zero."""
    power = z.real**2 + z.imag**2
    return jnp.where(power > 0, jnp.sqrt(jnp.where(power > 0, power, 1)), 0)


def _average(plan: _Plan, u_hat: jax.Array) -> jax.Array:
    """Low-pass real sounds and keep one value per frame, `[..., frames]`, from their first Fourier coefficients,
    one per frame: up to ten times the bandwidth of φ. Real: twice the real part of the positive frequencies."""
    phi = plan.phi[: plan.total] * np.where(np.arange(plan.total) > 0, 2, 1) * plan.total
    return jnp.fft.ifft(u_hat * phi.astype(u_hat.real.dtype)).real[..., slice(*plan.frames)]
