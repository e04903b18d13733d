"""Make surf.wav: a small wave that runs up a beach and sinks into the sand, from noise and nothing else.

No recording, no synthesizer of this book: NumPy's noise through a filter whose band moves.
Run `python make_surf.py` beside this file to make the sound again.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

RATE = 32_000  # Hz, on purpose not the rate of the synthesizers
SECONDS = 1.45
SILENCE = 0.12  # seconds before the wave arrives
PEAK = 0.6


def surf(seed: int = 7) -> np.ndarray:
    """The wave, 16-bit samples `[n, 2]`."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(RATE * SECONDS)) / RATE - SILENCE
    both, sides = rng.random((len(t), 1)) - 0.5, rng.random((len(t), 2)) - 0.5
    noise = both + 0.4 * sides

    # The body: a band that rises from 150 to 420 Hz while the wave runs up, and falls to 170 Hz.
    centre = np.interp(t, [0.0, 0.5, 1.3], [150.0, 420.0, 170.0])
    body = bandpass(bandpass(noise, centre, width=1.0), centre, width=1.0) * swell(t, rise=0.5, fall=0.30)[:, None]
    # The foam: a wide and quiet hiss that comes a little later and stays a little longer.
    foam = bandpass(noise, np.full(len(t), 2500.0), width=1.6) * swell(t, rise=0.65, fall=0.40)[:, None]

    sound = body + 0.04 * foam
    return np.round(32767 * PEAK * sound / np.abs(sound).max()).astype(np.int16)


def swell(t: np.ndarray, rise: float, fall: float) -> np.ndarray:
    """0 before 0 s, up to 1 at `rise` seconds along half a cosine, then down by a factor e every `fall` seconds."""
    up = 0.5 - 0.5 * np.cos(np.pi * np.clip(t / rise, 0.0, 1.0))
    return up * np.exp(-np.clip(t - rise, 0.0, None) / fall)


def bandpass(noise: np.ndarray, centre: np.ndarray, width: float) -> np.ndarray:
    """`noise [n, channels]` through a state-variable filter of order 2 at `centre [n]` Hz, `width` times as wide."""
    g = np.tan(np.pi * centre / RATE)
    out, low, band = np.empty_like(noise), np.zeros(noise.shape[1]), np.zeros(noise.shape[1])
    for n, x in enumerate(noise):
        high = (x - (width + g[n]) * band - low) / (1 + g[n] * (width + g[n]))
        out[n] = g[n] * high + band
        band = g[n] * high + out[n]
        low = low + 2 * g[n] * out[n]
    return width * out


def write(path: Path) -> None:
    """Write the sound as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(surf().astype("<i2").tobytes())


if __name__ == "__main__":
    write(Path(__file__).with_name("surf.wav"))
