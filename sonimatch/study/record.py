"""The outcome of a study: its trials, their scores, and the tables that a report is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import numpy as np

from sonimatch import stats
from sonimatch.metrics import P_loss
from sonimatch.space import ParamSpace


class Trials(NamedTuple):
    """The trials of one synth and loss: `theta_true [n, P]`, and of the search `theta [n, T, P]`, `value [n, T]`,
    `grad_norm [n, T]` (entry `t` before update `t`), whether all of it was finite `ok [n]`, which entry was kept
    `kept [n]`, and the `MSS [n]` of its sound."""

    theta_true: np.ndarray
    theta: np.ndarray
    value: np.ndarray
    grad_norm: np.ndarray
    ok: np.ndarray
    kept: np.ndarray
    MSS: np.ndarray

    @property
    def start(self) -> np.ndarray:
        """Where the search began, `[n, P]`."""
        return self.theta[:, 0]

    @property
    def end(self) -> np.ndarray:
        """The point that was kept, `[n, P]`."""
        return self.theta[np.arange(len(self.kept)), self.kept]

    def thinned(self) -> Trials:
        """The same trials with two entries of each path: the start and the kept point."""
        rows = np.arange(len(self.kept))[:, None]
        ends = np.stack([np.zeros_like(self.kept), self.kept], axis=1)
        few = {name: getattr(self, name)[rows, ends] for name in ("theta", "value", "grad_norm")}
        return self._replace(**few, kept=np.ones_like(self.kept))

    def best_so_far(self) -> Trials:
        """The same trials with, in place of each entry of a path, the one of lowest value so far: what the search would
        have returned then. It says less and takes a tenth of the room."""
        values = np.where(np.isfinite(self.value), self.value, np.inf)
        lower = values[:, 1:] < np.minimum.accumulate(values, axis=1)[:, :-1]
        last = np.arange(values.shape[1]) * np.pad(lower, ((0, 0), (1, 0)))
        rows, entries = np.arange(len(values))[:, None], np.maximum.accumulate(last, axis=1)
        return self._replace(**{name: getattr(self, name)[rows, entries] for name in ("theta", "value", "grad_norm")})

    @property
    def out_of_range(self) -> np.ndarray:
        """Whether any parameter of the kept point lies outside the unit cube, `[n]`."""
        return np.any((self.end < 0) | (self.end > 1), axis=-1)


@dataclass(frozen=True)
class Study:
    """A finished study: its `settings`, its `provenance`, and the `Trials` of each `(synth, loss)` by name.

    Of the provenance, `seconds` is the time that passed while it ran, and `core_seconds` the processor time of all
    workers, which other work on the machine inflates less, yet inflates: caches and memory are shared.
    """

    settings: dict[str, Any]
    provenance: dict[str, Any]
    trials: Mapping[tuple[str, str], Trials]

    @property
    def synths(self) -> tuple[str, ...]:
        return tuple(synth["name"] for synth in self.settings["synths"])

    @property
    def losses(self) -> tuple[str, ...]:
        return tuple(loss["name"] for loss in self.settings["losses"])

    @property
    def checksum(self) -> str:
        """The SHA-256 of settings and arrays: equal for equal outcomes, whatever the machine's clock said."""
        return _checksum(self.settings, _flat(self.trials))

    def space(self, synth: str) -> ParamSpace:
        """The parameters of a synth, as they were when the study ran."""
        stored = self.settings["synths"][self.synths.index(synth)]["space"]
        return ParamSpace(**{name: tuple(values) for name, values in stored.items() if name != "type"})

    @property
    def is_thinned(self) -> bool:
        return any(trials.theta.shape[1] <= self.settings["steps"] for trials in self.trials.values())

    def thinned(self) -> Study:
        """The same study with two entries of each path: the start and the kept point."""
        thin = {pair: trials.thinned() for pair, trials in self.trials.items()}
        return replace(self, trials=thin)

    def best_so_far(self) -> Study:
        """The same study with each entry of a path replaced by the one of lowest value so far."""
        return replace(self, trials={pair: trials.best_so_far() for pair, trials in self.trials.items()})

    def beside(self, other: Study) -> Study:
        """This study with the losses of another one as well, of the trials that both have; the provenance is its own.

        Raises `ValueError` when a setting differs, but for the name, the losses and the trials, or when both have a
        loss of one name. Shown in notebooks/which_loss_again.md.
        """
        free = ("name", "losses", "trials")
        apart = [name for name in self.settings if name not in free and other.settings[name] != self.settings[name]]
        shared = {*self.losses} & {*other.losses}
        if apart or shared:
            names = f"{self.settings['name']} and {other.settings['name']}"
            raise ValueError(
                f"{names} differ in {', '.join(apart)}" if apart else f"{names} both have {', '.join(shared)}"
            )
        n = min(self.settings["trials"], other.settings["trials"])
        both = {**self.trials, **other.trials}
        trials = {
            (synth, loss): Trials(*(array[:n] for array in both[synth, loss]))
            for synth in self.synths for loss in self.losses + other.losses
        }  # fmt: skip
        losses = self.settings["losses"] + other.settings["losses"]
        return replace(self, settings=self.settings | {"losses": losses, "trials": n}, trials=trials)

    def P_loss(self, synth: str, loss: str, when: Literal["end", "start", "path"] = "end",
               released: bool | None = None, clip: bool = False) -> np.ndarray:  # fmt: skip
        """`metrics.P_loss` of every trial, `[n]`, or of its whole "path", `[n, T]`.

        `released=None` takes the definition of the study. With `clip` parameters outside the unit cube count as its
        nearest end, which is what is heard.
        """
        trials = self.trials[synth, loss]
        theta = trials.theta if when == "path" else getattr(trials, when)
        truth = trials.theta_true[:, None] if when == "path" else trials.theta_true
        released = bool(self.settings["released_p_loss"] if released is None else released)
        return np.asarray(P_loss(np.clip(theta, 0, 1) if clip else theta, truth, released))

    def against(self, rival: Study, released: bool | None = None) -> dict[tuple[str, str], stats.Difference]:
        """P-loss less that of `rival`, which has the same targets, pair by pair: below 0 where this ends nearer.

        Of trials that both have; `released` as for `P_loss`. Shown in notebooks/one_match.md.
        """
        found = {}
        for pair in (pair for pair in self.trials if pair in rival.trials):
            ours, theirs = (study.P_loss(*pair, released=released) for study in (self, rival))
            found[pair] = stats.paired_difference(ours[: len(theirs)], theirs[: len(ours)])
        return found

    def scores(
        self,
        synth: str,
        loss: str,
        metric: Literal["P_loss", "MSS"] = "P_loss",
        non_finite: Literal["worst", "drop"] | float = "worst",
        out_of_range: Literal["keep", "clip", "drop"] = "keep",
    ) -> np.ndarray:
        """The scores of a pair as they enter statistics, `[n]` or fewer, smaller is better, all finite.

        `non_finite`: a score that is not finite becomes the "worst" finite one of the pair, or a number (the released
        analysis puts 2 for P-loss), or the trial is left out ("drop"). `out_of_range`: a trial that ended outside the
        range stays ("keep"), is scored at the nearest end of the range ("clip"; MSS is that already), or left out.
        """
        if metric not in ("P_loss", "MSS"):
            raise ValueError(f"metric is {metric!r}; it must be 'P_loss' or 'MSS'")
        if out_of_range not in ("keep", "clip", "drop"):
            raise ValueError(f"out_of_range is {out_of_range!r}; it must be 'keep', 'clip' or 'drop'")
        if non_finite not in ("worst", "drop") and (isinstance(non_finite, str) or not np.isfinite(non_finite)):
            raise ValueError(f"non_finite is {non_finite!r}; it must be 'worst', 'drop' or a finite number")
        trials = self.trials[synth, loss]
        score = trials.MSS if metric == "MSS" else self.P_loss(synth, loss, clip=out_of_range == "clip")
        keep = ~trials.out_of_range if out_of_range == "drop" else np.full(len(score), True)
        finite = np.isfinite(score)
        if not (finite & keep).any():
            raise ValueError(f"{synth}, {loss}: no trial has a finite {metric}, with out_of_range={out_of_range!r}")
        if non_finite == "drop":
            return score[keep & finite]
        return np.where(finite, score, score[finite].max() if non_finite == "worst" else non_finite)[keep]

    def summary(self, solved: float = 0.05) -> list[dict[str, Any]]:
        """A row for each pair: means and standard errors of the scores, the share of trials of a P-loss of `solved` or
        less, and how many ended out of range, were not finite on the way, or have no finite score."""
        rows = []
        for (synth, loss), trials in self.trials.items():
            start, end = (self.P_loss(synth, loss, when) for when in ("start", "end"))
            row: dict[str, Any] = {"synth": synth, "loss": loss, "trials": len(end), "P_loss_start": start.mean()}
            for metric, score in {"P_loss": end, "MSS": trials.MSS}.items():
                score = score[np.isfinite(score)]
                row[metric] = score.mean() if score.size else np.nan
                row[f"{metric}_se"] = score.std(ddof=1) / np.sqrt(score.size) if score.size > 1 else np.nan
            row |= {
                "solved": (end <= solved).mean(),
                "out_of_range": int(trials.out_of_range.sum()),
                "not_finite": int((~trials.ok).sum()),
                "no_score": int((~np.isfinite(trials.MSS)).sum()),
            }
            rows.append(row)
        return rows

    def table(self) -> list[dict[str, Any]]:
        """A row for each trial: parameters of target, start and end in physical units (at the nearer end of the range
        where they lie outside), P-loss and loss value at start and end, the lowest value unless the record is thinned,
        and the MSS."""
        rows = []
        for (synth, loss), trials in self.trials.items():
            space = self.space(synth)
            thetas = {"true": trials.theta_true, "start": trials.start, "end": trials.end}
            points = {name: np.asarray(space.to_physical(theta)) for name, theta in thetas.items()}
            P_loss_start, P_loss_end = (self.P_loss(synth, loss, when) for when in ("start", "end"))
            best = np.where(np.isfinite(trials.value), trials.value, np.inf).min(1)
            for i, kept in enumerate(trials.kept):
                row = {"synth": synth, "loss": loss, "trial": i}
                for column, (name, unit) in enumerate(zip(space.names, space.unit, strict=True)):
                    row[f"parameter_{column}"] = f"{name} ({unit})" if unit else name
                    row |= {f"{which}_{column}": point[i, column] for which, point in points.items()}
                row |= {"P_loss_start": P_loss_start[i], "P_loss_end": P_loss_end[i], "MSS": trials.MSS[i]}
                row |= {"value_start": trials.value[i, 0], "value_end": trials.value[i, kept]}
                row |= {} if self.is_thinned else {"value_best": best[i]}
                row |= {"ok": int(trials.ok[i]), "out_of_range": int(trials.out_of_range[i])}
                rows.append(row)
        return rows


class Report(NamedTuple):
    """What a study says, in rows: `scores` of each pair, `tests` between the losses of a synth, their `ranks`; the
    `means` that were ranked, `[1000]` by metric, synth and loss, with their `published` ranks; and `notes`, a sentence
    for each synth and metric that has no test and no ranks."""

    scores: list[dict[str, Any]]
    tests: list[dict[str, Any]]
    ranks: list[dict[str, Any]]
    means: dict[str, dict[str, dict[str, np.ndarray]]]
    published: dict[str, dict[str, dict[str, int]]]
    notes: list[str]


METRICS: dict[Literal["P_loss", "MSS"], str] = {"P_loss": "P-loss", "MSS": "MSS"}
"""The scores of a study, and what they are called."""


def report(study: Study) -> Report:
    """Scores, Kruskal–Wallis tests on the trials, and Scott–Knott ranks of bootstrapped means, as published, and of the
    trials themselves; 1 is best. A score that is not finite counts as the worst of its pair."""
    found = Report([], [], [], {}, {}, [])
    for row in study.summary():
        scored = {name: f"{row[metric]:.4f} ± {row[f'{metric}_se']:.4f}" for metric, name in METRICS.items()}
        shown = {name: row[name] for name in ("synth", "loss", "trials")}
        shown |= {"P-loss at the start": f"{row['P_loss_start']:.4f}"} | scored | {"solved": f"{row['solved']:.1%}"}
        counts = ("out_of_range", "not_finite", "no_score")
        found.scores.append(shown | {name.replace("_", " "): row[name] for name in counts})
    for metric, name in METRICS.items():
        for synth in study.synths:
            try:
                scores = {loss: study.scores(synth, loss, metric) for loss in study.losses}
                test = stats.kruskal_wallis([*scores.values()])
                ranking, raw = stats.rank_losses(scores), stats.rank_losses(scores, resamples=0)
            except ValueError as error:
                found.notes.append(f"{synth}, {name}: no test and no ranks: {error}.")
                continue
            row = {"synth": synth, "metric": name}
            found.tests.append({**row, "H": test.H, "p": test.p})
            found.ranks.append({**row, "ranked": "means, as published", **ranking})
            found.ranks.append({**row, "ranked": "trials", **raw})
            means = {loss: stats.bootstrap_means(score, seed=i) for i, (loss, score) in enumerate(scores.items())}
            found.means.setdefault(metric, {})[synth] = means
            found.published.setdefault(metric, {})[synth] = ranking
    return found


def origin(provenance: Mapping[str, Any]) -> str:
    """When, where and from what a study was made."""
    time, core_time = (timedelta(seconds=round(provenance[name])) for name in ("seconds", "core_seconds"))
    commit = f"commit {provenance['commit']}" if provenance["commit"] else "no commit"
    return f"finished {provenance['finished']}, {time} of work ({core_time} of processors), {commit}"


def _text(settings: Any) -> str:
    return json.dumps(settings, sort_keys=True)


def _checksum(settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    digest = sha256(_text(settings).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _flat(trials: Mapping[tuple[str, str], Trials]) -> dict[str, np.ndarray]:
    arrays = {pair: some._asdict() for pair, some in trials.items()}
    return {f"{synth}/{loss}/{name}": array for (synth, loss), a in arrays.items() for name, array in a.items()}
