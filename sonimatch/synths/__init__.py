"""The catalogue of synthesizers: `SYNTHS`, the published programs and three instruments, and `RELEASED_SYNTHS`, those
that were run. Each is compiled when it is first named."""

from pathlib import Path
from typing import Any

from sonimatch.faust import FaustSynth

_HERE = Path(__file__).resolve().parent
_FOLDER = next(folder for folder in (_HERE / "faust", _HERE.parents[1] / "faust") if folder.is_dir())  # wheel, checkout

bp_noise: FaustSynth
add_sinesaw: FaustSynth
noise_am: FaustSynth
sinesaw_am: FaustSynth
hp_noise: FaustSynth
s_noise_am: FaustSynth
kick: FaustSynth
fm_bell: FaustSynth
subtractive: FaustSynth

_NAMES = tuple(__annotations__)

SYNTHS: tuple[FaustSynth, ...]
"""The programs of the published listings, two of one parameter each for its landscapes, and three instruments: a bass
drum of 7 parameters, a bell of 6, and an analogue voice of 12."""

RELEASED_SYNTHS: tuple[FaustSynth, ...]
"""The first four with the ranges that the released code ran."""


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        made = FaustSynth.from_faust(_FOLDER / f"{name}.dsp")
    elif name == "SYNTHS":
        made = tuple(globals().get(one) or __getattr__(one) for one in _NAMES)
    elif name == "RELEASED_SYNTHS":
        made = tuple(FaustSynth.from_faust(_FOLDER / "released" / f"{one}.dsp") for one in _NAMES[:4])
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, made)
