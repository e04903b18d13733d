"""The catalogue of synthesizers: `SYNTHS`, the published programs and three instruments, `RELEASED_SYNTHS`, those that
were run, and `PNP_SYNTHS`, two in closed form. Each is compiled when it is first named."""

from pathlib import Path
from typing import Any

from sonimatch.faust import FaustSynth
from sonimatch.synths.arpeggiator import Arpeggiator
from sonimatch.synths.drum import Drum

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
_CLOSED = {"arpeggiator": Arpeggiator, "drum": Drum}
for _name in _CLOSED:
    globals().pop(_name, None)  # the modules: here the names are those of the instruments

arpeggiator: Arpeggiator
drum: Drum

SYNTHS: tuple[FaustSynth, ...]
"""The programs of the published listings, two of one parameter each for its landscapes, and three instruments: a bass
drum of 7 parameters, a bell of 6, and an analogue voice of 12."""

RELEASED_SYNTHS: tuple[FaustSynth, ...]
"""The first four with the ranges that the released code ran."""

PNP_SYNTHS: tuple[FaustSynth, ...]
"""Those of perceptual–neural–physical sound matching, each of a length and rate of its own: `arpeggiator`, `drum`."""


def __getattr__(name: str) -> Any:
    if name in (*_NAMES, *_CLOSED):
        made = _CLOSED.get(name, FaustSynth).from_faust(_FOLDER / f"{name}.dsp")
    elif name in ("SYNTHS", "PNP_SYNTHS"):
        made = tuple(globals().get(one) or __getattr__(one) for one in (_NAMES if name == "SYNTHS" else _CLOSED))
    elif name == "RELEASED_SYNTHS":
        made = tuple(FaustSynth.from_faust(_FOLDER / "released" / f"{one}.dsp") for one in _NAMES[:4])
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, made)
