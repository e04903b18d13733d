"""Joint time–frequency scattering: which way, how fast and how broadly energy moves over time and log-frequency."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sonimatch.features import root
from sonimatch.scattering.filterbank import SIGMA, bank, log2_decimation, lowpass, morlet, padded_length
from sonimatch.scattering.time import _checked, _modulus, _periods

_BLOCK = 256  # frames that are filtered along log-frequency at a time, so that they stay in the caches


class JointPaths(NamedTuple):
    """What the paths of a joint scattering transform are, each an array `[paths]`.

    `order` is 1 or 2. `xi_t` is the temporal modulation (cycles per sample) of the second wavelet, NaN at order 1;
    `xi_fr` the modulation along log-frequency (cycles per first-order channel), negative where `spin` is -1, 0 where
    it is 0. `rate_hz` and `scale_cpo` are the same in Hz and in cycles per octave. A spin of 1 is a rising chirp, -1 a
    falling one. `n2`, `n_fr` number the two wavelets (-1 where there is none); `n1_max` is how many first-order
    channels enter, and row `r` of a path is at channel `r 2^log2_stride`, 0 being the highest frequency.
    """

    order: np.ndarray
    xi_t: np.ndarray
    xi_fr: np.ndarray
    spin: np.ndarray
    rate_hz: np.ndarray
    scale_cpo: np.ndarray
    n2: np.ndarray
    n_fr: np.ndarray
    n1_max: np.ndarray
    log2_stride: np.ndarray


@dataclass(frozen=True)
class JointScattering:
    """Joint time–frequency scattering: audio `[samples]` ─► coefficients `[paths, rows, frames]`, all ≥ 0.

    `U1 = |x * ψ1|`, with `Q[0]` Morlet wavelets an octave, `log2` of the highest over the lowest frequency about `J`.
    Order 1: `|U1 * φ * ψ_fr|`, along log-frequency; order 2: `||U1 * ψ2| * ψ_fr| * φ`, with `Q[1]` wavelets an octave
    along time, where slower than ψ1, and `Q_fr` an octave along log-frequency up to a scale of `2^J_fr` channels: the
    low-pass (spin 0), the wavelets that answer rising chirps (1) and those that answer falling ones (-1). φ is a
    Gaussian of `T` samples in time and of `F` channels in frequency, where the spin is not 0. Each `|·|` is kept at the
    lowest rate that its wavelet allows, and the sound is reflected at both ends. The unit is that of the audio.

    - `T`: `None` is `2^J`; a whole number, not below the scale of the slowest ψ2; or `"global"`: one frame, the mean
      over the frames of the sound itself, of each path at its own rate.
    - `F`: a power of two up to `2^J_fr`, which `None` is.
    - `epsilon`: if given, `log(1 + S / epsilon)` is returned in place of `S`; positive, in the unit of the audio.

    `J`, `J_fr`, `Q` and `Q_fr` are whole numbers from 1 upwards. Audio has one axis, is float32 or float64 (then all is
    in double precision) and has at least `2^J` samples. `ValueError` for anything else. Use `vmap` for batches.
    At equal settings it is the transform of kymatio's development version, which knows no "global" mean: its sum over
    padded frames, the mirrored sound among them, makes both directions of a chirp nearly equal.
    Source: Andén, Lostanlen and Mallat, "Joint time–frequency scattering", 2019; Andreux et al., "Kymatio", 2020.
    """

    J: int = 8
    Q: tuple[int, int] = (8, 1)
    J_fr: int = 3
    Q_fr: int = 1
    T: int | Literal["global"] | None = None
    F: int | None = None
    epsilon: float | None = None

    def __post_init__(self) -> None:
        whole = {"J": self.J, "Q[0]": self.Q[0], "Q[1]": self.Q[1], "J_fr": self.J_fr, "Q_fr": self.Q_fr}
        for name, value in whole.items():
            if not (isinstance(value, int) and value >= 1):
                raise ValueError(f"{name} is {value!r}; it must be a whole number from 1 upwards")
        if self._F < 1 or 2**self.J_fr < self._F or self._F & (self._F - 1):
            raise ValueError(f"F is {self.F}; it must be a power of two up to 2^J_fr = {2**self.J_fr}")
        slowest = max(log2_decimation(*w) for w in bank(self.J, self.Q[1]))
        if self.T != "global" and not (isinstance(self._T, int) and 2**slowest <= self._T):
            raise ValueError(f"T is {self.T!r}; it must be 'global' or at least {2**slowest} samples for J = {self.J}")
        if self.epsilon is not None and not self.epsilon > 0:
            raise ValueError(f"epsilon is {self.epsilon}; it must be positive, or None")

    @property
    def _T(self) -> int:
        return 2**self.J if self.T in (None, "global") else self.T  # pyright: ignore[reportReturnType]

    @property
    def _F(self) -> int:
        return 2**self.J_fr if self.F is None else self.F

    def paths(self, sample_rate: float = 1.0) -> JointPaths:
        """What the first axis is: order 1, then order 2 by temporal and then by frequential wavelet.

        `sample_rate` in Hz is for `rate_hz`.
        """
        rows, stride = [], int(math.log2(self._F))
        for n2, count in [(-1, len(bank(self.J, self.Q[0]))), *_partners(self)]:
            xi_t = math.nan if n2 < 0 else bank(self.J, self.Q[1])[n2][0]
            for n_fr, (xi, _, _, spin) in enumerate(_frequential(self)):
                if n2 >= 0 or spin >= 0:
                    scaled = xi_t * sample_rate, xi * self.Q[0]
                    rows.append((1 + (n2 >= 0), xi_t, xi, spin, *scaled, n2, n_fr, count, stride))
        return JointPaths(*map(np.array, zip(*rows, strict=True)))

    def __call__(self, audio: jax.Array) -> jax.Array:
        return self._scaled(_transform(_checked(audio, self.J), self))

    def some(self, audio: jax.Array, chosen: jax.Array) -> jax.Array:
        """The coefficients of the paths numbered `chosen [k]` only, `[k, rows, frames]`: as `self(audio)[chosen]`,
        at about the cost of the first order and k paths.

        `chosen` may be traced, so that a step of a compiled loop draws its own. Under `vmap` draw once for the batch:
        where each sound has its own choice, all paths are computed.
        """
        return self._scaled(_some(_checked(audio, self.J), jnp.asarray(chosen), self))

    def _scaled(self, S: jax.Array) -> jax.Array:
        return S if self.epsilon is None else jnp.log1p(S / self.epsilon)


# ------------------------------------------------------------------------------------------------------- the filters


def _frequential(of: JointScattering) -> list[tuple[float, float, int, int]]:
    """The filters along log-frequency: `(xi, sigma, j, spin)`, cycles per channel; the low-pass is the first."""
    up = [(xi, sigma, log2_decimation(xi, sigma), 1) for xi, sigma in bank(of.J_fr, of.Q_fr)]
    return [(0.0, SIGMA / 2**of.J_fr, of.J_fr, 0), *up, *((-xi, sigma, j, -1) for xi, sigma, j, _ in up)]


def _partners(of: JointScattering) -> list[tuple[int, int]]:
    """The second wavelets that are slower than some first ones, and how many of these: `(n2, n1_max)`."""
    first = [log2_decimation(*w) for w in bank(of.J, of.Q[0])]
    counts = [sum(j1 < log2_decimation(*w) for j1 in first) for w in bank(of.J, of.Q[1])]
    return [(n2, count) for n2, count in enumerate(counts) if count]


def _along_frequency(of: JointScattering) -> list[tuple[int, Any, Any]]:
    """Each frequential filter as matrices: `(spin, filter [rows, channels], average [rows out, rows] or None)`."""
    channels = int(((of.J + 1) * of.Q[0] + 8 * of._F) / 2**of.J_fr) * 2**of.J_fr
    log2_F = int(math.log2(of._F))

    def periods_mean(spectrum: np.ndarray, k: int) -> np.ndarray:
        return spectrum.reshape(2**k, -1, spectrum.shape[-1]).mean(0)

    found = []
    for xi, sigma, j, spin in _frequential(of):
        k = min(j, log2_F)
        response = morlet(channels, xi, sigma) if spin else lowpass(channels, sigma)
        filtered = np.fft.ifft(periods_mean(response[:, None] * np.fft.fft(np.eye(channels), axis=0), k), axis=0)
        average = None
        if spin:
            rows = channels >> k
            smooth = lowpass(channels, SIGMA / of._F).reshape(2**k, -1).sum(0)
            spectrum = periods_mean(smooth[:, None] * np.fft.fft(np.eye(rows), axis=0), log2_F - k)
            average = np.fft.ifft(spectrum, axis=0).real
        found.append((spin, filtered, average))
    return found


class _Plan(NamedTuple):
    """The filters in Fourier at the rate of the padded sound, and the rest of what no sound changes."""

    padding: tuple[int, int]
    frames: tuple[int, int]  # at a stride of T, the first frame of the sound and the first after it
    total: int  # frames of the padded sound at a stride of T
    first: dict[int, np.ndarray]  # filters [n, samples] by decimation, in the order of n1
    second: dict[int, tuple[int, np.ndarray]]  # (n1_max, filters [n, samples]) by decimation, in the order of n2
    phi: np.ndarray
    frequential: list[tuple[int, Any, Any]]  # `_along_frequency`


@lru_cache(maxsize=16)
def _plan(of: JointScattering, num_samples: int) -> _Plan:
    length = padded_length(num_samples, of._T)
    left, log2_T = (length - num_samples) // 2, int(math.log2(of._T))
    first: dict[int, list[np.ndarray]] = {}
    for wavelet in bank(of.J, of.Q[0]):
        first.setdefault(min(log2_decimation(*wavelet), log2_T), []).append(morlet(length, *wavelet))
    second: dict[int, tuple[int, list[np.ndarray]]] = {}
    wavelets = bank(of.J, of.Q[1])
    for n2, count in _partners(of):
        second.setdefault(log2_decimation(*wavelets[n2]), (count, []))[1].append(morlet(length, *wavelets[n2]))
    return _Plan(
        padding=(left, length - num_samples - left),
        frames=(-(-left // 2**log2_T), -(-(left + num_samples) // 2**log2_T)),
        total=length >> log2_T,
        first={j: np.stack(filters) for j, filters in first.items()},
        second={j: (count, np.stack(filters)) for j, (count, filters) in second.items()},
        phi=lowpass(length, SIGMA / of._T),
        frequential=_along_frequency(of),
    )


def _averages(of: JointScattering, plan: _Plan, num_samples: int, j: int) -> tuple[slice, np.ndarray]:
    """Which frames at a stride of `2^j` count, and what they weigh in each frame of the result, `[frames, out]`."""
    left, n = plan.padding[0], plan.phi.size >> j
    if of.T == "global":
        start, end = -(-left // 2**j), -(-(left + num_samples) // 2**j)
        return slice(start, end), np.full((end - start, 1), 1 / (end - start))
    response = np.fft.ifft(plan.phi.reshape(2**j, -1).sum(0)).real
    places = np.arange(*plan.frames) * (n // plan.total)
    return slice(0, n), response[(places - np.arange(n)[:, None]) % n]


# ----------------------------------------------------------------------------------------------------- the transform


@partial(jax.jit, static_argnums=1)
def _transform(audio: jax.Array, of: JointScattering) -> jax.Array:
    plan = _plan(of, audio.size)
    parts = _U1(audio, plan)
    waves: dict[int, list[tuple[jax.Array, np.ndarray]]] = {}  # of like numbers of channels
    for j, (count, filters) in plan.second.items():
        frames, weights = _averages(of, plan, audio.size, j)
        y = _Y2(parts, count, filters[:, None], plan.phi.size >> j)[..., frames]
        waves.setdefault((count - 1).bit_length(), []).extend((each, weights) for each in y)
    rows = jnp.concatenate([_rows(plan, like) for like in waves.values()])
    return jnp.concatenate([_first_order(of, plan, parts), _second_order(plan, rows)])


def _U1(audio: jax.Array, plan: _Plan) -> list[jax.Array]:
    """The Fourier coefficients of U1, as many as its rate allows, rate by rate."""
    x = jnp.pad(audio, plan.padding, mode="reflect")
    x_hat = _rfft(x)
    return [_rfft(_modulus(_decimated(x_hat, filters, x.size >> j))) for j, filters in plan.first.items()]


_rfft = partial(jnp.fft.rfft, norm="forward")  # whose coefficients do not depend on the rate


def _decimated(x_hat: jax.Array, filters: np.ndarray, m: int) -> jax.Array:
    """A filtered sound at its new length `m`, `[..., m]`, from its first Fourier coefficients."""
    return 2 * jnp.fft.ifft(jnp.concatenate(_periods(x_hat, filters, m), axis=-1))


def _Y2(parts: list[jax.Array], count: int, filters: np.ndarray, m: int) -> jax.Array:
    """`U1 * ψ2`, `[..., count, m]`, of the first `count` channels and filters `[..., 1, samples]`."""
    channels = jnp.concatenate([part[:, : m + 1] for part in _first(parts, count)])
    return _decimated(channels, filters, m)


@partial(jax.jit, static_argnums=2)
def _some(audio: jax.Array, chosen: jax.Array, of: JointScattering) -> jax.Array:
    """`[k, rows, frames]`: the first order, then of each chosen path its own wavelets."""
    plan, paths, waves = _plan(of, audio.size), of.paths(), bank(of.J, of.Q[1])
    parts, real = _U1(audio, plan), audio.dtype
    # One array, and branches that are done again for a derivative: each adds to the cotangent of all that enters, and
    # keeps nothing of what the others would.
    flat, shapes = jnp.concatenate([part.ravel() for part in parts]), [part.shape for part in parts]
    cuts = np.cumsum([part.size for part in parts])[:-1]

    def split(flat: jax.Array) -> list[jax.Array]:
        return [part.reshape(shape) for part, shape in zip(jnp.split(flat, cuts), shapes, strict=True)]

    height = max(len(filtered) for _, filtered, _ in plan.frequential)
    kernels, smooth = [], []
    for _, filtered, average in plan.frequential:
        average = np.eye(len(filtered)) if average is None else average
        kernels.append(np.pad(filtered, ((0, height - len(filtered)), (0, 0))))
        smooth.append(np.pad(average, ((0, 0), (0, height - average.shape[1]))))
    kernels, smooth = jnp.asarray(np.stack(kernels), parts[0].dtype), jnp.asarray(np.stack(smooth), real)

    def first(flat: jax.Array, n_fr: jax.Array) -> jax.Array:
        return _first_order(of, plan, split(flat))[n_fr]

    def second(n2: int, count: int) -> Callable[[jax.Array, jax.Array], jax.Array]:
        j = log2_decimation(*waves[n2])
        frames, weights = _averages(of, plan, audio.size, j)
        wavelet = plan.second[j][1][sum(log2_decimation(*wave) == j for wave in waves[:n2])]

        def path(flat: jax.Array, n_fr: jax.Array) -> jax.Array:
            y = _Y2(split(flat), count, wavelet, plan.phi.size >> j)[:, frames]
            V = _modulus(_product(kernels[n_fr, :, :count], y))
            return _product(smooth[n_fr], _product(V, jnp.asarray(weights, real)))

        return path

    partners = _partners(of)
    branches = [jax.checkpoint(branch) for branch in (first, *(second(*pair) for pair in partners))]
    number = {n2: i for i, n2 in enumerate([-1, *(n2 for n2, _ in partners)])}
    which = jnp.asarray([number[n2] for n2 in paths.n2])[chosen], jnp.asarray(paths.n_fr)[chosen]
    return jax.lax.map(lambda which: jax.lax.switch(which[0], branches, flat, which[1]), which)


def _first(parts: list[jax.Array], count: int) -> Iterator[jax.Array]:
    """The first `count` channels, rate by rate."""
    for part in parts:
        if count > 0:
            yield part[:count]
        count -= len(part)


def _first_order(of: JointScattering, plan: _Plan, parts: list[jax.Array]) -> jax.Array:
    """`[paths, rows, frames]` of U1: its lowest Fourier coefficients are enough, one for each frame."""
    low = jnp.concatenate([part[:, : plan.total] for part in parts])
    phi = plan.phi[: plan.total] * np.where(np.arange(plan.total) > 0, 2, 1) * plan.total
    S1 = jnp.fft.ifft(low * phi.astype(low.real.dtype)).real[:, slice(*plan.frames)]
    found = []
    for spin, filtered, average in plan.frequential:
        if spin >= 0:
            kernel = filtered[:, : len(S1)].astype(low.dtype)
            V = _modulus(_product(kernel, S1.astype(low.dtype)))
            V = V.mean(1, keepdims=True) if of.T == "global" else V
            found.append(V if average is None else _product(average.astype(V.dtype), V))
    return jnp.stack(found)


_product = partial(jnp.matmul, precision="highest")


def _rows(plan: _Plan, waves: list[tuple[jax.Array, np.ndarray]]) -> jax.Array:
    """`[waves, rows, frames out]`: each of `y [channels, frames]` filtered along log-frequency, its modulus, and that
    averaged by `weights [frames, frames out]`; the rows of all filters, one after the other.

    A wavelet of spin -1 is the conjugate of that of spin 1, so that the products with its real and its imaginary part
    serve both. All this is done block by block, and done again for a derivative, so that no block has to be kept.
    """
    real, channels = waves[0][0].real.dtype, max(len(y) for y, _ in waves)
    flat = plan.frequential[0][1][:, :channels].real
    wave: Any = np.concatenate([filtered[:, :channels] for spin, filtered, _ in plan.frequential if spin == 1])
    kernels = [jnp.asarray(k, real) for k in (flat, wave.real, wave.imag)]
    blocks, weights, owners = [], [], []
    for owner, (y, weight) in enumerate(waves):
        number = -(-y.shape[1] // _BLOCK)
        rest = number * _BLOCK - y.shape[1]
        y = jnp.pad(y, ((0, channels - len(y)), (0, rest))).reshape(channels, number, _BLOCK)
        blocks.append(y.swapaxes(0, 1))
        weights.append(np.pad(weight, ((0, rest), (0, 0))).reshape(number, _BLOCK, -1))
        owners += [owner] * number

    @jax.checkpoint
    def block(part: tuple[jax.Array, jax.Array]) -> jax.Array:
        y, weight = part
        (z_re, a_re, b_re), (z_im, a_im, b_im) = ([_product(k, side) for k in kernels] for side in (y.real, y.imag))
        powers = z_re**2 + z_im**2, (a_re - b_im) ** 2 + (a_im + b_re) ** 2, (a_re + b_im) ** 2 + (a_im - b_re) ** 2
        return jnp.concatenate([_product(root(power), weight) for power in powers])

    found = jax.lax.map(block, (jnp.concatenate(blocks), jnp.asarray(np.concatenate(weights), real)))
    return jax.ops.segment_sum(found, np.array(owners), len(waves), indices_are_sorted=True)


def _second_order(plan: _Plan, rows: jax.Array) -> jax.Array:
    """`[paths, rows, frames]`: the rows of each filter averaged along log-frequency."""
    cuts, found = np.cumsum([len(filtered) for _, filtered, _ in plan.frequential])[:-1], []
    for (_, _, average), V in zip(plan.frequential, jnp.split(rows, cuts, axis=1), strict=True):
        found.append(V if average is None else _product(average.astype(V.dtype), V))
    return jnp.stack(found, axis=1).reshape(-1, *found[0].shape[1:])
