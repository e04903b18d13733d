"""The catalogue of synthesizers: `SYNTHS`, the published programs and three instruments, and `RELEASED_SYNTHS`, those
that were run."""

from pathlib import Path

from sonimatch.faust import FaustSynth

_HERE = Path(__file__).resolve().parent
_FOLDER = next(folder for folder in (_HERE / "faust", _HERE.parents[1] / "faust") if folder.is_dir())  # wheel, checkout

bp_noise = FaustSynth.from_faust(_FOLDER / "bp_noise.dsp")
add_sinesaw = FaustSynth.from_faust(_FOLDER / "add_sinesaw.dsp")
noise_am = FaustSynth.from_faust(_FOLDER / "noise_am.dsp")
sinesaw_am = FaustSynth.from_faust(_FOLDER / "sinesaw_am.dsp")
hp_noise = FaustSynth.from_faust(_FOLDER / "hp_noise.dsp")
s_noise_am = FaustSynth.from_faust(_FOLDER / "s_noise_am.dsp")
kick = FaustSynth.from_faust(_FOLDER / "kick.dsp")
fm_bell = FaustSynth.from_faust(_FOLDER / "fm_bell.dsp")
subtractive = FaustSynth.from_faust(_FOLDER / "subtractive.dsp")

SYNTHS = (bp_noise, add_sinesaw, noise_am, sinesaw_am, hp_noise, s_noise_am, kick, fm_bell, subtractive)
"""The programs of the published listings, two of one parameter each for its landscapes, and three instruments: a bass
drum of 7 parameters, a bell of 6, and an analogue voice of 12."""

RELEASED_SYNTHS = tuple(
    FaustSynth.from_faust(_FOLDER / "released" / f"{name}.dsp")
    for name in ("bp_noise", "add_sinesaw", "noise_am", "sinesaw_am")
)
"""The same four with the ranges that the released code ran."""
