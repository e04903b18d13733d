"""The mean absolute difference of cepstral coefficients on the mel scale."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from scipy.fft import dct

from sonimatch.losses.log_mel import LogMel


@dataclass(frozen=True)
class MFCC_Spec(LogMel):
    """`L = mean_{t,k} |a[t, k] - b[t, k]|` between mel-frequency cepstral coefficients 1 to `n_coefficients`.

    `a[t, k]` is the orthonormal discrete cosine transform (type II) along the bands of what `LogMel` compares. The
    zeroth coefficient, which holds the mean over the bands, is left out: the loss is deaf to gain where all bands are
    far above ε, and it hears the outline of the spectrum and no single partials.

    `1 <= n_coefficients < n_mels`, else `ValueError`; the other settings are those of `LogMel`. 0 at equality, with
    derivative 0. `feature` takes audio `[samples]` and gives `[frames, n_coefficients]`. Source: S. Davis and P.
    Mermelstein, "Comparison of parametric representations for monosyllabic word recognition", 1980. Shown in
    notebooks/losses.md.
    """

    n_coefficients: int = 20
    name: str = "MFCC_Spec"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.n_coefficients < self.n_mels:
            raise ValueError(f"n_coefficients is {self.n_coefficients}; it must be from 1 to {self.n_mels - 1}")

    def feature(self, audio: jax.Array) -> jax.Array:
        bands = super().feature(audio)
        transform = np.asarray(dct(np.eye(self.n_mels), norm="ortho"))[:, 1 : self.n_coefficients + 1]
        return jnp.matmul(bands, jnp.asarray(transform, bands.dtype), precision="highest")
