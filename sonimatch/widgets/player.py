"""Sound players."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
from IPython.display import Audio
from numpy.typing import ArrayLike

from sonimatch import audio

_PEAK = 0.7


class Players:
    """A player for each named sound, `{label: audio [samples]}`, all with one gain, so that levels compare.

    The loudest peak of all comes out at 0.7 of full scale.
    With a kernel the sounds are part of the output.
    When the book is built, the folder named by the environment variable `SONIMATCH_SOUNDS` receives them as 16-bit
    FLAC files named by content, and the page refers to those.
    """

    def __init__(self, sounds: Mapping[str, ArrayLike], sample_rate: int) -> None:
        arrays = {label: np.asarray(sound, np.float32) for label, sound in sounds.items()}
        for label, array in arrays.items():
            if array.ndim != 1 or not np.isfinite(array).all():
                raise ValueError(f"sound {label!r} must be finite audio [samples], not shape {array.shape}")
        peak = max((float(np.abs(array).max(initial=0)) for array in arrays.values()), default=0.0)
        gain = _PEAK / peak if peak > 0 else 1.0
        self.sounds, self.sample_rate = {label: gain * array for label, array in arrays.items()}, sample_rate

    def _repr_html_(self) -> str:
        players = "".join(
            f"<figure class='player'><figcaption>{label}</figcaption>{self._element(label, sound)}</figure>"
            for label, sound in ((html.escape(label), sound) for label, sound in self.sounds.items())
        )
        return f"<div class='players'>{players}</div>"

    def _element(self, label: str, sound: np.ndarray) -> str:
        folder = os.environ.get("SONIMATCH_SOUNDS")
        if folder is None:
            return str(Audio(sound, rate=self.sample_rate, normalize=False)._repr_html_())
        name = sha256(sound.tobytes() + str(self.sample_rate).encode()).hexdigest()[:16] + ".flac"
        Path(folder).mkdir(parents=True, exist_ok=True)
        audio.write(Path(folder) / name, sound, self.sample_rate)
        source = f"../_static/sounds/{name}"
        return f'<audio controls preload="none" src="{source}" aria-label="{label}"></audio>'

    def __repr__(self) -> str:
        return f"Players({', '.join(self.sounds)})"
