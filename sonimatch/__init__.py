"""Sound matching: find the synthesizer parameters that reproduce a target sound.

Importing the package sets one global option, before JAX starts its backend: XLA's CPU compiler then turns the body
of a sample-by-sample recursion into one native loop, about ten times faster.
Set `XLA_FLAGS` to a value of your own for `xla_cpu_small_while_loop_byte_threshold` to override it.

A public name is loaded, and JAX with it, when it is first used: to import the package takes a few milliseconds.
"""
# ruff: noqa: F401 (the imports are for editors and type checkers)

import os as _os
import sys as _sys
from importlib import import_module as _import_module
from types import ModuleType as _Module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

_OPTION = "xla_cpu_small_while_loop_byte_threshold"
_flags = _os.environ.get("XLA_FLAGS", "")
if _OPTION not in _flags and "xla_backend_extra_options" not in _flags:
    _os.environ["XLA_FLAGS"] = f"{_flags} --xla_backend_extra_options={_OPTION}=100000000".strip()

if _TYPE_CHECKING:
    from sonimatch.atlas import Atlas
    from sonimatch.faust import FaustError, FaustSynth
    from sonimatch.faust import FaustSynth as Synth
    from sonimatch.features import PAPER_STFT, RELEASED_STFT, STFT
    from sonimatch.home import points_home
    from sonimatch.landscape import Landscape, landscape
    from sonimatch.losses import (
        JTFS,
        LOSSES,
        PAPER_LOSSES,
        RELEASED_LOSSES,
        CumulativeEnergy,
        DTW_Envelope,
        L1_Spec,
        LogMel,
        Marginals,
        MFCC_Spec,
        MSS_Spec,
        Scattering,
        SIMSE_Spec,
        SOT_Spec,
    )
    from sonimatch.match import match, match_all
    from sonimatch.metrics import MSS, PAPER_MSS, RELEASED_MSS, P_loss
    from sonimatch.search import (
        CMA_ES,
        LES,
        SEARCHES,
        Adam,
        GradientDescent,
        LevenbergMarquardt,
        Race,
        RandomSearch,
        RMSProp,
    )
    from sonimatch.space import ParamSpace
    from sonimatch.synths import (
        PNP_SYNTHS,
        RELEASED_SYNTHS,
        SYNTHS,
        add_sinesaw,
        arpeggiator,
        bp_noise,
        drum,
        fm_bell,
        hp_noise,
        kick,
        noise_am,
        s_noise_am,
        sinesaw_am,
        subtractive,
    )
    from sonimatch.types import Loss, Match, Problem, Search, Trajectory

_HOME = {
    "atlas": "Atlas",
    "faust": "FaustError FaustSynth",
    "features": "PAPER_STFT RELEASED_STFT STFT",
    "landscape": "Landscape landscape",
    "losses": "LOSSES PAPER_LOSSES RELEASED_LOSSES L1_Spec SIMSE_Spec Scattering DTW_Envelope "
    "Marginals CumulativeEnergy SOT_Spec LogMel MFCC_Spec MSS_Spec JTFS",
    "home": "points_home",
    "match": "match match_all",
    "metrics": "MSS PAPER_MSS RELEASED_MSS P_loss",
    "search": "SEARCHES Race RMSProp Adam GradientDescent LevenbergMarquardt CMA_ES LES RandomSearch",
    "space": "ParamSpace",
    "synths": "SYNTHS RELEASED_SYNTHS PNP_SYNTHS bp_noise add_sinesaw noise_am sinesaw_am hp_noise s_noise_am "
    "kick fm_bell subtractive arpeggiator drum",
    "types": "Loss Match Problem Search Trajectory",
}
_NAMES = {name: (room, name) for room, names in _HOME.items() for name in names.split()}
_NAMES["Synth"] = ("faust", "FaustSynth")
__all__ = sorted(_NAMES)  # pyright: ignore[reportUnsupportedDunderAll]


class _Package(_Module):
    def __getattr__(self, name: str) -> _Any:
        if name in _NAMES:
            room, attribute = _NAMES[name]
            value = getattr(_import_module(f"sonimatch.{room}"), attribute)
            setattr(self, name, value)
            return value
        if name in (*_HOME, "audio", "scattering"):
            return _import_module(f"sonimatch.{name}")
        raise AttributeError(f"module 'sonimatch' has no attribute {name!r}", name=name, obj=self)

    def __setattr__(self, name: str, value: _Any) -> None:
        # An import binds the module here; `match` and `landscape` are rooms and functions, and here the functions.
        if not (name in _NAMES and isinstance(value, _Module)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


_sys.modules[__name__].__class__ = _Package
