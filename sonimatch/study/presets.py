"""The two studies that were published, as the text says and as the code ran, the same under a search that solves, and
experiments from stored settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sonimatch.features import STFT
from sonimatch.losses import LOSSES, RELEASED_LOSSES
from sonimatch.metrics import PAPER_MSS, RELEASED_MSS
from sonimatch.scattering import JointScattering
from sonimatch.search import SEARCHES, Race
from sonimatch.study.experiment import Experiment, StudyError, _different
from sonimatch.synths import PNP_SYNTHS, RELEASED_SYNTHS, SYNTHS

PAPER = Experiment(name="paper")
"""The published text: its listings, transforms and measures, computed in double precision where it matters."""


RELEASED = Experiment(
    name="released",
    synths=tuple(replace(synth, precision="single") for synth in RELEASED_SYNTHS),
    losses=RELEASED_LOSSES,
    score=RELEASED_MSS,
    released_p_loss=True,
    whole_targets=(
        "bp_noise.lp_cut", "bp_noise.hp_cut", "add_sinesaw.saw_freq", "add_sinesaw.sine_freq",
        "noise_am.modulator", "sinesaw_am.carrier", "sinesaw_am.amp",
    ),
    whole_starts=(
        "bp_noise.lp_cut", "bp_noise.hp_cut", "add_sinesaw.saw_freq", "add_sinesaw.sine_freq", "sinesaw_am.carrier",
    ),
)  # fmt: skip
"""What the released code of the study ran: programs and ranges, single precision, whole-numbered draws, the STFT that
breaks off, clipping before SIMSE, the scattering weights of kymatio 0.3.0, P-loss and MSS as computed there. Losses
are paired, which the released code does not do: set `paired=False` for that."""


RACE = Experiment(name="race", losses=LOSSES[:9], search=Race(), steps=199, keep="best")
"""The targets and starts of the published text, nine losses, and a search that solves: 200 renderings each."""


PRESETS = (PAPER, RELEASED, RACE)


def experiment_of(settings: Mapping[str, Any]) -> Experiment:
    """The experiment of stored settings, when its parts are of this package.

    Raises `StudyError` for a program that is not in the catalogues, or no longer, and for settings that this version
    does not know.
    """
    synths: list[Any] = [*SYNTHS, *PNP_SYNTHS, *(synth for preset in PRESETS for synth in preset.synths)]
    programs = {synth.source_sha256: synth for synth in synths}
    kinds = {type(part).__name__: type(part) for part in (*LOSSES, *SEARCHES, PAPER_MSS)}

    def recall(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(map(recall, value))
        if not isinstance(value, dict):
            return value
        if "sha256" in value:
            rates = {name: value[name] for name in ("name", "sample_rate", "num_samples", "precision")}
            return replace(programs[value["sha256"]], **rates)
        inner = STFT if value.keys() <= STFT.__dataclass_fields__.keys() else JointScattering
        kind: Any = kinds[value["type"]] if "type" in value else inner
        return kind(**{name: recall(item) for name, item in value.items() if name != "type"})

    try:
        experiment = Experiment(**{name: recall(value) for name, value in settings.items()})
    except (KeyError, TypeError) as error:
        raise StudyError(
            f"{settings['name']} has parts that this version of sonimatch does not have: {error}"
        ) from None
    if different := _different(experiment, settings):
        raise StudyError(f"{settings['name']} has parts that have changed since: {', '.join(different)}")
    return experiment
