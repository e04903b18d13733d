"""The study: synths × losses × trials, drawn, run, stored and read back.

An `Experiment` says everything that is run. `run` does it chunk by chunk, on all cores, and can be killed at any
moment and called again; the outcome is one file, a `Study`.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from sonimatch.audio import replacing
from sonimatch.features import STFT
from sonimatch.losses import LOSSES, RELEASED_LOSSES
from sonimatch.match import match_all
from sonimatch.metrics import MSS, PAPER_MSS, RELEASED_MSS, P_loss
from sonimatch.search import SEARCHES, RMSProp
from sonimatch.space import ParamSpace
from sonimatch.synths import RELEASED_SYNTHS, SYNTHS
from sonimatch.types import Loss, Problem, Search, Synth

_CHUNK = 20  # trials that are stored together: what a kill can cost, per worker
_LANES = 64  # trials side by side on an accelerator; on a CPU they run one after another
_PACKAGES = ("sonimatch", "jax", "jaxlib", "numpy", "optax", "dawdreamer")


class StudyError(ValueError):
    """A study that cannot be run or read as asked; the message names the file or the setting."""


@dataclass(frozen=True)
class Experiment:
    """Everything that a study is: nothing that changes a number is set elsewhere.

    Trial `i` of a synth has a target, a start and a noise of its own, drawn from `seed`, the name of the synth and
    `i` alone, so that it is the same in whatever order, company, process or year it is run. With `paired` (the
    default) the losses meet the same targets and starts; without, each draws its own, as in the published study.

    - `search`, `steps`: every trial is searched for `steps` updates.
    - `keep`: the point that is scored: the "last" one, as published, or the one of "best" (lowest) loss.
    - `score`: the multi-scale spectral distance of target and kept point.
    - `released_p_loss`: which `P_loss`.
    - `shared_noise`: target and candidate use the same pseudo-random noise, sample by sample. If not, the target's
      noise is its own.
    - `whole_targets`, `whole_starts`: parameters, as "synth.parameter", that are drawn as whole numbers: targets
      rounded down, starts from all whole numbers of the range.

    `ValueError` for settings that make no experiment. Shown in notebooks/experiment.md.
    """

    name: str
    synths: tuple[Synth, ...] = SYNTHS[:4]
    losses: tuple[Loss, ...] = LOSSES
    search: Search = RMSProp()  # noqa: RUF009 (frozen)
    steps: int = 200
    trials: int = 300
    seed: int = 0
    keep: Literal["last", "best"] = "last"
    score: MSS = PAPER_MSS
    released_p_loss: bool = False
    paired: bool = True
    shared_noise: bool = True
    whole_targets: tuple[str, ...] = ()
    whole_starts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for setting, least in {"steps": 1, "trials": 1, "seed": 0}.items():
            if not getattr(self, setting) >= least:
                raise ValueError(f"{setting} is {getattr(self, setting)}; it must be at least {least}")
        if self.keep not in ("last", "best"):
            raise ValueError(f"keep is {self.keep!r}; it must be 'last' or 'best'")
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"name is {self.name!r}; it must be the name of a file, without folders")
        for kind in ("synths", "losses"):
            names = [thing.name for thing in getattr(self, kind)]
            if not names or len({*names}) < len(names):
                raise ValueError(f"{kind} are {', '.join(names) or 'none'}; there must be some, of different names")
        known = {f"{synth.name}.{parameter}" for synth in SYNTHS + self.synths for parameter in synth.space.names}
        for name in self.whole_targets + self.whole_starts:
            if name not in known:
                raise ValueError(f"no parameter {name!r} (there are: {', '.join(sorted(known))})")

    @property
    def pairs(self) -> tuple[tuple[Synth, Loss], ...]:
        """Every synth with every loss, synth by synth."""
        return tuple((synth, loss) for synth in self.synths for loss in self.losses)

    @property
    def settings(self) -> dict[str, Any]:
        """All of it as plain values for JSON; a synth is its name, its rates and the hash of its program."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    def draw(self, synth: Synth, loss: Loss, trials: Sequence[int]) -> Problem:
        """The problems of some trials, every array with a leading axis."""
        key = jax.random.fold_in(jax.random.key(self.seed), crc32(synth.name.encode()))
        if not self.paired:
            key = jax.random.fold_in(key, crc32(loss.name.encode()))
        names = [f"{synth.name}.{parameter}" for parameter in synth.space.names]
        whole = tuple(tuple(name in some for name in names) for some in (self.whole_targets, self.whole_starts))
        one = partial(_draw, synth, whole, self.shared_noise, key)
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(one, trials))


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

PRESETS = (PAPER, RELEASED)


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


# ------------------------------------------------------------------------------------------------------ one trial


@partial(jax.jit, static_argnums=(0, 1, 2))
def _draw(synth: Any, whole: tuple[tuple[bool, ...], ...], shared_noise: bool, key: jax.Array, trial: int) -> Problem:
    target_key, start_key, noise_key, search_key = jax.random.split(jax.random.fold_in(key, trial), 4)
    truth, start = (synth.space.sample(key, 1)[0] for key in (target_key, start_key))
    low, high = np.array(synth.space.low), np.array(synth.space.high)
    rounded = synth.space.to_unit(jnp.floor(synth.space.to_physical(truth)))
    truth = jnp.where(np.array(whole[0]), jnp.clip(rounded, 0, 1), truth)
    drawn = synth.space.to_unit(low + jnp.minimum(jnp.floor(start * (high - low + 1)), high - low))
    start = jnp.where(np.array(whole[1]), jnp.clip(drawn, 0, 1), start)
    if shared_noise:
        target = synth(truth)
    else:
        target = synth.with_noise(truth, jax.random.randint(noise_key, (), 1, 2**31 - 1, jnp.int32))
    return Problem(target=target, theta_true=truth, theta_init=start, key=search_key)


@partial(jax.jit, static_argnums=(0, 1))
def _score(synth: Synth, score: MSS, target: jax.Array, theta: jax.Array) -> jax.Array:
    return score(target, synth(theta))


def solve(experiment: Experiment, synth: Synth, loss: Loss, trials: Sequence[int]) -> Trials:
    """Run some trials of a pair here and now; the outcome of a trial does not depend on the others."""
    lanes, index = 1 if jax.default_backend() == "cpu" else _LANES, np.int16 if experiment.steps < 2**15 else np.int32
    parts = []
    for first in range(0, len(trials), lanes):
        batch = list(trials[first : first + lanes])
        problems = experiment.draw(synth, loss, batch + batch[-1:] * (lanes - len(batch)))  # one shape, one program
        path = match_all(synth, loss, problems, experiment.search, experiment.steps)
        values = np.asarray(path.trajectory.value)
        best = np.where(np.isfinite(values), values, np.inf).argmin(1)
        kept = best if experiment.keep == "best" else np.full(lanes, values.shape[1] - 1)
        theta = np.asarray(path.trajectory.theta)
        ends = zip(problems.target, theta[np.arange(lanes), kept], strict=True)
        score = [_score(synth, experiment.score, target, end) for target, end in ends]
        whole = Trials(np.asarray(problems.theta_true), theta, values, np.asarray(path.trajectory.grad_norm),
                       np.asarray(path.ok), kept.astype(index), np.array(score, np.float32))  # fmt: skip
        parts.append(Trials(*(array[: len(batch)] for array in whole)))
    return Trials(*map(np.concatenate, zip(*parts, strict=True)))


class _Chunk(NamedTuple):
    """Finished trials of a pair, from number `first`, and the processor time that they took."""

    pair: int
    first: int
    trials: Trials
    core_seconds: float


def _solve(experiment: Experiment, pair: int, first: int, stop: int) -> _Chunk:
    before = time.process_time()
    trials = solve(experiment, *experiment.pairs[pair], range(first, stop))
    return _Chunk(pair, first, trials, time.process_time() - before)


# -------------------------------------------------------------------------------------------------------- the run


def run(
    experiment: Experiment,
    folder: str | os.PathLike[str],
    executor: Executor | None = None,
    workers: int | None = None,
    progress: bool = True,
    report: Callable[[str], object] | None = None,
) -> Study:
    """Run an experiment to its end and write `folder/<name>.npz`; what an earlier call finished is not run again.

    Each finished chunk of trials is written at once to `folder/<name>.parts/`, which goes when the study is complete.
    Kill the process at any moment and call `run` again: it continues, and the outcome is the same to the last bit. A
    damaged chunk is named, and run again. More trials continue a study too, a finished one as well.

    `executor` is any `concurrent.futures.Executor`; without one, `workers` processes of one core each (default: the
    cores of this machine; on an accelerator, this process). A worker that dies is replaced.
    `report` gets the messages, a line each; by default they appear above the progress bar.
    Raises `StudyError` when the folder holds another experiment of the same name, or more trials of this one.
    """
    folder = Path(folder)
    record, parts = folder / f"{experiment.name}.npz", folder / f"{experiment.name}.parts"
    say = report or partial(tqdm.write, file=sys.stderr)
    study, before = None, 0.0
    if record.is_file():
        study = load(record)
        _agree(experiment, study.settings, record)
    if study is None or study.settings["trials"] < experiment.trials:
        _claim(experiment, parts)
        if study is not None:
            if study.is_thinned:
                raise StudyError(
                    f"{record} has no paths, only their ends: no trials can be added; choose another folder"
                )
            _unpack(study, parts)
            before = study.provenance["seconds"]
        clock = _Clock(parts / "seconds.json", before)
        done, todo = _inventory(experiment, parts, say)
        left = [experiment.trials] * len(experiment.pairs)
        for pair, _, number in done:
            left[pair] -= number
        total = len(left) * experiment.trials
        with tqdm(total=total, initial=total - sum(left), disable=not progress, unit="trial") as bar:
            for pair, first, trials, core_seconds in _results(experiment, todo, executor, workers, say):
                path = parts / f"{pair:03d}-{first:06d}.npz"
                _write(path, experiment.settings, trials._asdict(), core_seconds=core_seconds)
                clock.save()
                left[pair] -= len(trials.ok)
                name = ", ".join(thing.name for thing in experiment.pairs[pair])
                bar.set_description(f"{name}: {experiment.trials - left[pair]} of {experiment.trials}", refresh=False)
                bar.update(len(trials.ok))
                if not left[pair]:
                    say(f"{name}: {experiment.trials} trials done")
        study = _assemble(experiment, parts, clock.seconds, workers)
        save(study, record)
    if parts.is_dir():
        for file in parts.iterdir():
            file.unlink()
        parts.rmdir()
    return study


class Status(NamedTuple):
    """What a folder holds of a study: how many trials of each pair are `done`, and what is `damaged`, file by file.

    `settings` is None for a damaged record, `provenance` for what is not finished.
    """

    path: Path
    settings: dict[str, Any] | None
    provenance: dict[str, Any] | None
    done: dict[tuple[str, str], int]
    damaged: list[str]


def status(folder: str | os.PathLike[str]) -> list[Status]:
    """The records and the unfinished studies of a folder."""
    found = []
    for path in sorted(Path(folder).glob("*.npz")):
        try:
            study = load(path)
            done = {pair: len(trials.ok) for pair, trials in study.trials.items()}
            found.append(Status(path, study.settings, study.provenance, done, []))
        except StudyError as error:
            found.append(Status(path, None, None, {}, [str(error)]))
    for path in sorted(file.parent for file in Path(folder).glob("*.parts/experiment.json")):
        settings, damaged = json.loads((path / "experiment.json").read_text()), []
        done = dict.fromkeys(_names(settings), 0)
        for part in sorted(path.glob("*.npz")):
            try:
                done[_names(settings)[int(part.name.split("-")[0])]] += len(_read(part)[1]["ok"])
            except StudyError as error:
                damaged.append(str(error))
        found.append(Status(path, settings, None, done, damaged))
    return found


def experiment_of(settings: Mapping[str, Any]) -> Experiment:
    """The experiment of stored settings, when its parts are of this package.

    Raises `StudyError` for a program that is not in the catalogues, or no longer, and for settings that this version
    does not know.
    """
    synths: list[Any] = [*SYNTHS, *(synth for preset in PRESETS for synth in preset.synths)]
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
        kind: Any = kinds[value["type"]] if "type" in value else STFT
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


class Rerun(NamedTuple):
    """A stored trial and the same trial run again: whether all of it is `equal` to the last bit, and how far apart are
    the targets and the first ten steps (of a thinned study the starts), `early`, and the kept points, `end`; and how
    far is the stored score from that of the stored point, `score`, as a share of it (or of 0.01, where it is less)."""

    synth: str
    loss: str
    trial: int
    equal: bool
    early: float
    end: float
    score: float


def verify(study: Study, experiment: Experiment, per_pair: int = 1, seed: int = 0) -> list[Rerun]:
    """Run a random sample of the stored trials again.

    On the machine that made the study all of it is equal. On another one, rounding differs, and a search that stands
    on the edge of two basins may end elsewhere: there `early` and `score` tell whether the record is genuine.
    Raises `StudyError` when the study is of another experiment.
    """
    if different := _different(experiment, study.settings):
        raise StudyError(f"the record differs from {experiment.name} in: {', '.join(different)}")
    rng, todo, rows = np.random.default_rng(seed), [], []
    for pair in range(len(experiment.pairs)):
        sample = rng.choice(study.settings["trials"], min(per_pair, study.settings["trials"]), replace=False)
        todo += [(pair, int(trial), int(trial) + 1) for trial in sorted(sample)]
    for pair, trial, again, _ in sorted(_results(experiment, todo, None, None, print), key=lambda chunk: chunk[:2]):
        synth, loss = experiment.pairs[pair]
        stored = Trials(*(array[trial : trial + 1] for array in study.trials[synth.name, loss.name]))
        again = again.thinned() if study.is_thinned else again
        equal = all(a.tobytes() == b.tobytes() for a, b in zip(again, stored, strict=True))
        first = 1 if study.is_thinned else 11
        apart = [(again.theta_true, stored.theta_true), (again.theta[:, :first], stored.theta[:, :first])]
        early = max(np.abs(a - b).max() for a, b in apart)
        target = experiment.draw(synth, loss, [trial]).target[0]
        old, new = float(stored.MSS[0]), float(_score(synth, experiment.score, target, stored.end[0]))
        apart = 0.0 if np.array_equal(old, new, equal_nan=True) else abs(new - old) / max(abs(new), abs(old), 0.01)
        end = np.abs(again.end - stored.end).max()
        rows.append(Rerun(synth.name, loss.name, trial, equal, float(early), float(end), float(apart)))
    return rows


def _results(
    experiment: Experiment, todo: list[tuple[int, int, int]], executor: Executor | None, workers: int | None, say: Any
) -> Iterator[_Chunk]:
    """The chunks in the order in which they are ready."""
    if executor is not None:
        futures = [executor.submit(_solve, experiment, *chunk) for chunk in todo]
        try:
            yield from (future.result() for future in as_completed(futures))
        finally:
            for future in futures:
                future.cancel()
        return
    if workers is None and jax.default_backend() != "cpu":  # an accelerator is not shared between processes
        yield from (_solve(experiment, *chunk) for chunk in todo)
        return
    waiting, deaths = {chunk[:2]: chunk for chunk in todo}, 0
    while waiting:
        with _pool(workers or len(_cores())) as pool:
            try:
                with _deaf():
                    futures = [pool.submit(_solve, experiment, *chunk) for chunk in waiting.values()]
                for result in (future.result() for future in as_completed(futures)):
                    deaths = 0
                    del waiting[result[:2]]
                    yield result
            except BrokenExecutor:
                deaths += 1
                if deaths > 2:
                    raise
                say("a worker died; its chunk is run again")


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    spawn = multiprocessing.get_context("spawn")  # JAX has threads, which a fork would lose
    with ProcessPoolExecutor(workers, spawn, _start_worker, (os.getpid(),)) as pool:
        try:
            yield pool
        except BaseException:  # nobody waits for what is under way
            for worker in list(pool._processes.values()):
                worker.kill()
            raise


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes started here do not hear Ctrl-C, which is for this one."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(parent: int) -> None:
    """One core for each worker, and none that outlives a killed parent."""
    os.environ["NPROC"] = "1"  # XLA's thread pool

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _cores() -> range:
    affinity = getattr(os, "sched_getaffinity", None)
    return range(len(affinity(0)) if affinity else os.cpu_count() or 1)


class _Clock:
    """Seconds of work on a study, over all its runs."""

    def __init__(self, path: Path, before: float) -> None:
        self.path, self.start = path, time.monotonic()
        self.before = json.loads(path.read_text()) if path.is_file() else before

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.start

    def save(self) -> None:
        with replacing(self.path) as file:
            file.write(json.dumps(self.seconds).encode())


# ---------------------------------------------------------------------------------------------------- the storage


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if hasattr(value, "source_sha256"):
        rates = {name: getattr(value, name) for name in ("sample_rate", "num_samples", "precision")}
        return {"name": value.name, "sha256": value.source_sha256, "space": _plain(value.space)} | rates
    if hasattr(value, "__dataclass_fields__"):
        space = {"space": _plain(value.space)} if hasattr(value, "space") else {}
        return {"type": type(value).__name__} | _plain(asdict(value)) | space
    return value


def _text(settings: Any) -> str:
    return json.dumps(settings, sort_keys=True)


def _checksum(settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    digest = sha256(_text(settings).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _write(path: Path, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray], **more: Any) -> None:
    header = {"settings": settings, "checksum": _checksum(settings, arrays)} | more
    everything: dict[str, Any] = {"header": np.frombuffer(_text(header).encode(), np.uint8), **arrays}
    content = BytesIO()
    np.savez_compressed(content, **everything)
    with replacing(path) as file:
        file.write(content.getbuffer())


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a file that is whole; `StudyError` for one that is not."""
    try:
        with path.open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise ValueError("it is no archive of arrays (.npz)")
            with np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop("header").tobytes())
        if _checksum(header["settings"], arrays) != header["checksum"]:
            raise ValueError("the checksum does not fit")
    except FileNotFoundError:
        raise StudyError(f"{path}: there is no such file") from None
    except Exception as error:  # a damaged archive can fail in any way
        raise StudyError(f"{path} is damaged: {error or type(error).__name__}") from None
    return header, arrays


def _names(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(synth["name"], loss["name"]) for synth in settings["synths"] for loss in settings["losses"]]


def _different(experiment: Experiment, settings: Mapping[str, Any]) -> list[str]:
    """The settings that are not those of the experiment, the number of trials aside."""
    wanted = experiment.settings
    return [name for name in {**wanted, **settings} if name != "trials" and wanted.get(name) != settings.get(name)]


def _agree(experiment: Experiment, settings: Mapping[str, Any], path: Path) -> None:
    if different := _different(experiment, settings):
        raise StudyError(
            f"{path} holds another experiment named {experiment.name}: "
            f"it differs in {', '.join(different)}; choose another folder or delete that one"
        )
    if settings["trials"] > experiment.trials:
        raise StudyError(
            f"{path} holds {settings['trials']} trials of each pair of {experiment.name}, more than "
            f"{experiment.trials}; ask for as many, choose another folder or delete that one"
        )


def _claim(experiment: Experiment, parts: Path) -> None:
    """Make the folder of this experiment, or find that it is."""
    path = parts / "experiment.json"
    parts.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        _agree(experiment, json.loads(path.read_text()), parts)
    with replacing(path) as file:
        file.write(_text(experiment.settings).encode())


def _unpack(study: Study, parts: Path) -> None:
    """Turn a finished study back into chunks, to which more are added."""
    each = study.provenance["core_seconds"] / sum(len(trials.ok) for trials in study.trials.values())
    for pair, trials in enumerate(study.trials.values()):
        for first in range(0, len(trials.ok), _CHUNK):
            path = parts / f"{pair:03d}-{first:06d}.npz"
            if not path.exists():
                some = {name: array[first : first + _CHUNK] for name, array in trials._asdict().items()}
                _write(path, study.settings, some, core_seconds=each * len(some["ok"]))


def _inventory(
    experiment: Experiment, parts: Path, say: Callable[[str], object]
) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """The chunks that are stored, `(pair, first, number)`, and those still to be run, `(pair, first, stop)`."""
    done, todo = [], []
    for pair in range(len(experiment.pairs)):
        for first in range(0, experiment.trials, _CHUNK):
            stop, path = min(first + _CHUNK, experiment.trials), parts / f"{pair:03d}-{first:06d}.npz"
            if path.exists():
                try:
                    header, arrays = _read(path)
                    if _different(experiment, header["settings"]):
                        raise StudyError(f"{path} is of another experiment")
                    if len(arrays["ok"]) == stop - first:
                        done.append((pair, first, stop - first))
                        continue
                except StudyError as error:
                    say(f"{error}; it is run again")
            todo.append((pair, first, stop))
    return done, sorted(todo, key=lambda chunk: chunk[1])  # all pairs side by side: what is there can be compared


def _assemble(experiment: Experiment, parts: Path, seconds: float, workers: int | None) -> Study:
    trials, core_seconds = {}, 0.0
    for pair, (synth, loss) in enumerate(experiment.pairs):
        chunks = [_read(parts / f"{pair:03d}-{first:06d}.npz") for first in range(0, experiment.trials, _CHUNK)]
        core_seconds += sum(header["core_seconds"] for header, _ in chunks)
        whole = (np.concatenate([arrays[name] for _, arrays in chunks]) for name in Trials._fields)
        trials[synth.name, loss.name] = Trials(*whole)
    provenance = {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "core_seconds": round(core_seconds, 1),
        "workers": workers or len(_cores()),
        "cores": len(_cores()),
        "device": f"{jax.devices()[0].platform}, {jax.devices()[0].device_kind}, {platform.machine()}",
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
    }
    return Study(experiment.settings, provenance, trials)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str | None:
    """The commit of the checkout that this module lies in, with `+` when files of it were changed."""
    git = partial(subprocess.run, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    try:
        changed = git(["git", "status", "--porcelain", "--untracked-files=no", "--", ".", "../faust"]).stdout.strip()
        return git(["git", "rev-parse", "HEAD"]).stdout.strip() + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):  # not a checkout
        return None


def _flat(trials: Mapping[tuple[str, str], Trials]) -> dict[str, np.ndarray]:
    arrays = {pair: some._asdict() for pair, some in trials.items()}
    return {f"{synth}/{loss}/{name}": array for (synth, loss), a in arrays.items() for name, array in a.items()}


def save(study: Study, path: str | os.PathLike[str]) -> None:
    """Write a study to one `.npz` file, all or nothing."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, study.settings, _flat(study.trials), provenance=study.provenance)


def load(path: str | os.PathLike[str]) -> Study:
    """Read a study that `run` or `save` wrote; `StudyError` when it is missing or damaged."""
    header, arrays = _read(Path(path))
    try:
        pairs = _names(header["settings"])
        trials = {pair: Trials(*(arrays["/".join((*pair, name))] for name in Trials._fields)) for pair in pairs}
        return Study(header["settings"], header["provenance"], trials)
    except KeyError as error:
        raise StudyError(f"{path} is not a finished study: it has no {error}") from None
