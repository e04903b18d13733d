"""Ranks under the hand: what do they say with another test, another score, fewer trials?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets

from sonimatch import stats
from sonimatch.plots import COLORS, Figure, violins_figure
from sonimatch.study import Study
from sonimatch.widgets.element import Element, compact

_METRICS: dict[Any, str] = {"P_loss": "P-loss", "MSS": "MSS"}
_LEAST = 2  # trials
_LEGAL: dict[str, Sequence[Any]] = {"shown": ("means", "trials"), "test": ("np", "p")}


class RankingBench(Element):
    """Scores, their distributions and ranks, for a synth, score, test, kind and number of trials of one's choice.

    `studies`: one study, or several by name; `trials`: how many of each pair to take along at most (all). The page has
    the scores and computes the rest: 1000 bootstrapped means of each loss, Scott–Knott ranks of them and of the scores
    themselves, and the Kruskal–Wallis test, to the numbers of `rank_losses` and `kruskal_wallis`. `choice`: what to
    begin with, of `record`, `synth`, `metric` ("P_loss", "MSS"), `shown` ("means", "trials") and `test` ("np", "p").
    With a kernel the trait `choice`, with the number of `trials` in it, follows the hand and moves it.
    Raises ValueError for no study, fewer than two trials, a choice that there is not, and pairs without a finite score.
    Shown in notebooks/ranking.md.
    """

    script = "ranking_bench.js"
    shared = ("statistics.js",)
    choice = traitlets.Dict().tag(sync=True)

    def __init__(self, studies: Mapping[str, Study] | Study, trials: int | None = None, **choice: str) -> None:
        self.studies = {studies.settings["name"]: studies} if isinstance(studies, Study) else dict(studies)
        if not self.studies or (trials is not None and trials < _LEAST):
            raise ValueError(f"{len(self.studies)} studies, {trials} trials; at least 1 study and {_LEAST} trials")
        self.trials = trials
        self._records = {name: self._record(study) for name, study in self.studies.items()}
        legal = self._legal(choice.get("record", next(iter(self._records))))
        whole = {field: values[-1] if field == "trials" else values[0] for field, values in legal.items()} | choice
        data = {"id": "ranking", "metrics": _METRICS, "records": self._records}
        super().__init__(data=data | {"colors": COLORS}, choice=whole)

    def _legal(self, record: str) -> dict[str, Sequence[Any]]:
        """What may be chosen with a record."""
        of = self._records.get(record, {"synths": (None,), "trials": _LEAST})
        several = {"record": tuple(self._records), "synth": of["synths"], "metric": tuple(_METRICS)}
        return several | _LEGAL | {"trials": range(_LEAST, of["trials"] + 1)}

    @traitlets.validate("choice")
    def _valid_choice(self, proposal: Any) -> dict[str, Any]:
        """What is not named stays."""
        whole = self.choice | proposal["value"]
        legal = self._legal(whole["record"])
        for field, value in whole.items():
            if value not in (among := legal.get(field, ())):
                some = f"{_LEAST} to {among[-1]}" if field == "trials" else ", ".join(map(str, among or legal))
                raise ValueError(f"{field} = {value!r} is no choice (there are: {some})")
        return whole

    def _record(self, study: Study) -> dict[str, Any]:
        """Scores by synth and metric: those of the losses, one after the other."""
        trials = min(study.settings["trials"], self.trials or np.inf)
        scores = {
            synth: {
                metric: compact([study.scores(synth, loss, metric)[:trials] for loss in study.losses])
                for metric in _METRICS
            }
            for synth in study.synths
        }
        return {"synths": study.synths, "losses": study.losses, "trials": trials, "scores": scores}

    @property
    def scores(self) -> dict[str, np.ndarray]:
        """The scores of the choice, by loss, `[trials]` each; lower is better."""
        study, choice = self.studies[self.choice["record"]], self.choice
        few = slice(choice["trials"])
        return {loss: study.scores(choice["synth"], loss, choice["metric"])[few] for loss in study.losses}

    @property
    def ranks(self) -> dict[str, int]:
        """The ranks of the choice, by loss; 1 is the best."""
        return stats.rank_losses(self.scores, 1000 if self.choice["shown"] == "means" else 0, test=self.choice["test"])

    def figure(self) -> Figure:
        shown, label = self.scores, _METRICS[self.choice["metric"]]
        if self.choice["shown"] == "means":
            means = [stats.bootstrap_means(x, seed=i, reciprocal=True) for i, x in enumerate(shown.values())]
            shown = dict(zip(shown, means, strict=True))
            label = f"1 / mean {label}"
        return violins_figure({self.choice["synth"]: shown}, {self.choice["synth"]: self.ranks}, label)

    def sentence(self) -> str:
        places = ", ".join(f"{loss} {rank}" for loss, rank in self.ranks.items())
        return f"Ranks of the losses on {self.choice['synth']} by {_METRICS[self.choice['metric']]}: {places}."

    def __repr__(self) -> str:
        return f"RankingBench({', '.join(self.studies)})"
