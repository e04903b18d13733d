"""An exponential chirp, cut into notes by a slow sine, under a bell."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from sonimatch.faust import FaustSynth


@dataclass(frozen=True)
class Arpeggiator(FaustSynth):
    """`x(t) = sin(2π f_c (2^(γ t) - 1) / (γ ln 2)) sin(2π f_m t) exp(-(γ t)² / (2 · 0.2²))`, `t = 0` in the middle.

    The program of `faust/arpeggiator.dsp`, whose sound in JAX is this formula, in double precision (`precision`), not
    the program sample by sample; native code and pages run the program, whose `middle` is set to half of the sound.
    The two differ by less than 1e-10, and the float32 sound from the formula in float64 by its rounding, 3e-8.

    - `f_c`, 512 to 1024 Hz: the pitch in the middle; it moves by `gamma` octaves a second and is a fifth of an octave
      below and above where the bell is at one standard deviation. Above half the sample rate there is an alias: of
      `f_c` = 1024 Hz at 8192 Hz from two octaves upwards, where the bell is at e^-50.
    - `f_m`, 4 to 16 Hz: the slow sine.
    - `gamma`, 0.5 to 4 octaves/s.

    All three have the log warp, which `replace(arpeggiator, warp=("linear",) * 3)` takes away. `ValueError` where `f_c`
    or `f_m` reaches half the sample rate (Hz), for a text with other parameters or with values of 0 and below, and as
    `FaustSynth` does. Source: Han, Lostanlen and Lagrange, "Learning to solve inverse problems for perceptual sound
    matching", 2024, equation 19; γ t is clipped at ±8 octaves, where the bell is 0 in double precision. Shown in
    notebooks/listening_with_wavelets.md.
    """

    sample_rate: int = 8192
    num_samples: int = 32_768

    def __post_init__(self) -> None:
        super().__post_init__()
        middle = self.num_samples / 2 / self.sample_rate
        object.__setattr__(self, "source", re.sub(r"middle = [^;]*;", f"middle = {middle!r};", self.source))
        low, high = (dict(zip(self.space.names, side, strict=True)) for side in (self.space.low, self.space.high))
        if self.space.names != ("f_c", "f_m", "gamma") or not min(low.values()) > 0:
            raise ValueError(f"{self.name}: the parameters are {low} at least; they must be f_c, f_m, gamma, all > 0")
        for name in ("f_c", "f_m"):
            if not 2 * high[name] < self.sample_rate:
                raise ValueError(
                    f"{self.name}: {name} goes up to {high[name]:g} Hz; the sample rate must be more than twice that, "
                    f"not {self.sample_rate} Hz"
                )

    def _sounded(self, values: jax.Array, seed: ArrayLike) -> jax.Array:
        f_c, f_m, gamma = values
        seconds = jnp.arange(self.num_samples, dtype=values.dtype) / self.sample_rate
        seconds = seconds - self.num_samples / 2 / self.sample_rate
        octaves = jnp.clip(gamma * seconds, -8, 8)
        cycles = f_c * jnp.expm1(math.log(2) * octaves) / (gamma * math.log(2))
        bell = jnp.exp(-((octaves / 0.2) ** 2) / 2)
        return jnp.sin(2 * math.pi * cycles) * jnp.sin(2 * math.pi * f_m * seconds) * bell
