"""How loud a synthesizer can be, so that a page can keep one volume and one scale while a hand moves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import islice, product
from typing import NamedTuple

import numpy as np
from scipy.stats import qmc

from sonimatch.faust import FaustSynth
from sonimatch.match import cores

SIZE, FRAMES = 2048, 64  # of the spectrogram in synth_player.js
_POINTS = 64


class Loudest(NamedTuple):
    """The largest values of any sound: `peak` of the waveform, power in a bin of a Hann-windowed `frame` of 2048
    samples, and `spectrum`, power in a bin summed over the 64 frames that a page draws."""

    peak: float
    spectrum: float
    frame: float


def loudest(synth: FaustSynth, sound: np.ndarray | None = None) -> Loudest:
    """How loud the sounds of `synth` are at most, and `sound [samples]`, if there is one.

    The corners of the unit cube and 64 points of a Sobol' sequence stand for it; a setting between them may exceed them
    a little, and a page clips its sound at the limit. Samples that are not finite count as 0. What is silent everywhere
    has a peak of 1, for something must divide. Shown in notebooks/landscapes_2d.md.
    """
    both = _of(synth) if sound is None else Loudest(*np.max([_of(synth), _measure(sound)], 0).tolist())
    return both if both.peak > 0 else Loudest(1.0, 1.0, 1.0)


@lru_cache(maxsize=64)
def _of(synth: FaustSynth) -> Loudest:
    count = len(synth.space)
    corners = [*islice(product((0.0, 1.0), repeat=count), _POINTS)]
    points = np.concatenate([corners, qmc.Sobol(count, scramble=False).random(_POINTS)])

    def heard(point: np.ndarray) -> Loudest:
        return _measure(synth.render_native(point))

    with ThreadPoolExecutor(cores()) as pool:  # machine code leaves the interpreter to the others
        return Loudest(*np.max([heard(points[0]), *pool.map(heard, points[1:])], 0).tolist())


def _measure(sound: np.ndarray) -> Loudest:
    sound = np.nan_to_num(np.asarray(sound, float), nan=0.0, posinf=0.0, neginf=0.0)
    room = np.append(sound, np.zeros(max(0, SIZE - len(sound))))
    first = np.round(np.linspace(0, len(room) - SIZE, FRAMES)).astype(int)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(SIZE) / SIZE)
    frames = np.lib.stride_tricks.sliding_window_view(room, SIZE)[first] * window
    power = np.abs(np.fft.rfft(frames)) ** 2
    return Loudest(float(np.abs(sound).max(initial=0)), float(power.sum(0).max()), float(power.max()))
