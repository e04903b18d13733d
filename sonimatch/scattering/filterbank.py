"""The filters of wavelet scattering, in plain float64 NumPy."""

from __future__ import annotations

import math

import numpy as np

SIGMA = 0.1  # bandwidth of the low-pass filter of one sample


def bank(J: int, Q: int) -> list[tuple[float, float]]:
    """The wavelets of scale up to `2^J` samples, `Q` per octave: `(xi, sigma)`, highest frequency first.

    Centre frequency and bandwidth in cycles per sample; `J ≥ 1`, `Q ≥ 1`. From `xi = max(1 / (1 + 2^(3/Q)),
    0.35)` downwards by `2^(-1/Q)` with `sigma` in proportion (neighbours meet at half power), until `sigma`
    reaches `0.1 / 2^J`; then `Q - 1` wavelets of that bandwidth at equal steps down to zero. Source: Andén
    and Mallat 2014; Andreux et al. 2020. Shown in notebooks/losses.md.
    """
    step, narrowest = 2 ** (-1 / Q), SIGMA / 2**J
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


def padded_length(num_samples: int, T: int) -> int:
    """The power of two in which `num_samples` and three times the reach of the low-pass filter of `T` samples
    on both sides fit (beyond its reach lies 1e-3 of its l1 norm), at most what one reflection can fill.
    Source: Andreux et al. 2020. Shown in notebooks/losses.md."""
    response = np.abs(np.fft.ifft(lowpass(num_samples, SIGMA / T)))[: num_samples // 2]
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
