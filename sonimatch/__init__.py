"""Sound matching: find the synthesizer parameters that reproduce a target sound.

Importing the package sets one global option, before JAX starts its backend: XLA's CPU compiler then turns the body
of a sample-by-sample recursion into one native loop, about ten times faster.
Set `XLA_FLAGS` to a value of your own for `xla_cpu_small_while_loop_byte_threshold` to override it.
"""

import os as _os

_OPTION = "xla_cpu_small_while_loop_byte_threshold"
_flags = _os.environ.get("XLA_FLAGS", "")
if _OPTION not in _flags and "xla_backend_extra_options" not in _flags:
    _os.environ["XLA_FLAGS"] = f"{_flags} --xla_backend_extra_options={_OPTION}=100000000".strip()

from sonimatch.faust import FaustError, FaustSynth  # noqa: E402
from sonimatch.faust import FaustSynth as Synth  # noqa: E402
from sonimatch.features import PAPER_STFT, RELEASED_STFT, STFT  # noqa: E402
from sonimatch.landscape import Landscape, landscape  # noqa: E402
from sonimatch.losses import LOSSES, RELEASED_LOSSES, DTW_Envelope, L1_Spec, Scattering, SIMSE_Spec  # noqa: E402
from sonimatch.match import match, match_all  # noqa: E402
from sonimatch.metrics import MSS, PAPER_MSS, RELEASED_MSS, P_loss  # noqa: E402
from sonimatch.search import SEARCHES, Adam, GradientDescent, RandomSearch, RMSProp  # noqa: E402
from sonimatch.space import ParamSpace  # noqa: E402
from sonimatch.synths import (  # noqa: E402
    RELEASED_SYNTHS,
    SYNTHS,
    add_sinesaw,
    bp_noise,
    hp_noise,
    noise_am,
    s_noise_am,
    sinesaw_am,
)
from sonimatch.types import Loss, Match, Problem, Search, Trajectory  # noqa: E402

__all__ = [
    "LOSSES",
    "MSS",
    "PAPER_MSS",
    "PAPER_STFT",
    "RELEASED_LOSSES",
    "RELEASED_MSS",
    "RELEASED_STFT",
    "RELEASED_SYNTHS",
    "SEARCHES",
    "STFT",
    "SYNTHS",
    "Adam",
    "DTW_Envelope",
    "FaustError",
    "FaustSynth",
    "GradientDescent",
    "L1_Spec",
    "Landscape",
    "Loss",
    "Match",
    "P_loss",
    "ParamSpace",
    "Problem",
    "RMSProp",
    "RandomSearch",
    "SIMSE_Spec",
    "Scattering",
    "Search",
    "Synth",
    "Trajectory",
    "add_sinesaw",
    "bp_noise",
    "hp_noise",
    "landscape",
    "match",
    "match_all",
    "noise_am",
    "s_noise_am",
    "sinesaw_am",
]
