"""Run a study on all cores, or where an executor says, chunk by chunk; and run stored trials again."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from sonimatch.match import cores
from sonimatch.metrics import MSS
from sonimatch.study import storage
from sonimatch.study.experiment import Experiment, StudyError, _different
from sonimatch.study.presets import PRESETS, experiment_of
from sonimatch.study.record import Study, Trials
from sonimatch.types import Loss, Synth

_LANES = 64  # trials side by side on an accelerator; on a CPU they run one after another
_PACKAGE = Path(__file__).parents[1]
_PACKAGES = ("sonimatch", "jax", "jaxlib", "numpy", "optax", "dawdreamer")


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
    Raises `StudyError` when the folder holds another experiment of the same name, or more trials of this one, and
    when another process is running this one there; it is named.
    """
    folder = Path(folder)
    record, parts = folder / f"{experiment.name}.npz", folder / f"{experiment.name}.parts"
    say = report or partial(tqdm.write, file=sys.stderr)
    found = _finished(experiment, record)
    if found and found.settings["trials"] == experiment.trials and not parts.is_dir():
        return found
    with storage._alone(experiment.name, parts):
        study, before = _finished(experiment, record), 0.0  # another run may have finished meanwhile
        if study is None or study.settings["trials"] < experiment.trials:
            storage._claim(experiment, parts)
            if study is not None:
                if study.is_thinned:
                    raise StudyError(
                        f"{record} has no paths, only their ends: no trials can be added; choose another folder"
                    )
                storage._unpack(study, parts)
                before = study.provenance["seconds"]
            clock = storage._Clock(parts / "seconds.json", before)
            done, todo = storage._inventory(experiment, parts, say)
            left = [experiment.trials] * len(experiment.pairs)
            for pair, _, number in done:
                left[pair] -= number
            total = len(left) * experiment.trials
            with tqdm(total=total, initial=total - sum(left), disable=not progress, unit="trial") as bar:
                for pair, first, trials, core_seconds in _results(experiment, todo, executor, workers, say):
                    path = storage._chunk(parts, pair, first)
                    storage._write(path, experiment.settings, trials._asdict(), core_seconds=core_seconds)
                    clock.save()
                    left[pair] -= len(trials.ok)
                    name = ", ".join(thing.name for thing in experiment.pairs[pair])
                    count = f"{experiment.trials - left[pair]} of {experiment.trials}"
                    bar.set_description(f"{name}: {count}", refresh=False)
                    bar.update(len(trials.ok))
                    if not left[pair]:
                        say(f"{name}: {experiment.trials} trials done")
            study = storage._assemble(experiment, parts, _provenance(clock.seconds, workers))
            storage.save(study, record)
        storage._remove(parts)
    return study


def _finished(experiment: Experiment, record: Path) -> Study | None:
    """The record of an experiment, if there is one, with as many trials or fewer."""
    if not record.is_file():
        return None
    study = storage.load(record)
    storage._agree(experiment, study.settings, record)
    return study


def verify(study: Study, experiment: Experiment | None = None, per_pair: int = 1, seed: int = 0) -> list[Rerun]:
    """Run a random sample of the stored trials again, of `experiment`: by default the preset of the study's name, else
    what its settings say.

    On the machine that made the study all of it is equal. On another one rounding differs, and a search over ripples
    may walk elsewhere within a few steps: there `drawn`, `value` and `score`, which follow no search, tell whether the
    record is genuine.
    Raises `StudyError` when the study is of another experiment.
    """
    presets = {preset.name: preset for preset in PRESETS}
    experiment = experiment or presets.get(study.settings["name"]) or experiment_of(study.settings)
    if different := _different(experiment, study.settings):
        raise StudyError(f"the record differs from {experiment.name} in: {', '.join(different)}")
    rng, todo, rows = np.random.default_rng(seed), [], []
    for pair in range(len(experiment.pairs)):
        sample = rng.choice(study.settings["trials"], min(per_pair, study.settings["trials"]), replace=False)
        todo += [(pair, int(trial), int(trial) + 1) for trial in sorted(sample)]
    for pair, trial, again, _ in sorted(_results(experiment, todo, None, None, print), key=lambda chunk: chunk[:2]):
        synth, loss = experiment.pairs[pair]
        stored = Trials(*(array[trial : trial + 1] for array in study.trials[synth.name, loss.name]))
        forms = (again, again.thinned(), again.best_so_far())  # in which it may have been stored
        equal = any(all(a.tobytes() == b.tobytes() for a, b in zip(form, stored, strict=True)) for form in forms)
        drawn = max(np.abs(getattr(again, what) - getattr(stored, what)).max() for what in ("theta_true", "start"))
        target = experiment.draw(synth, loss, [trial]).target[0]
        old, new = float(stored.MSS[0]), float(_score(synth, experiment.score, target, stored.end[0]))
        apart = 0.0 if np.array_equal(old, new, equal_nan=True) else abs(new - old) / max(abs(new), abs(old), 0.01)
        value, known = np.asarray(_values(synth, loss, target, stored.theta[0])), stored.value[0]
        both = np.isfinite(value) & np.isfinite(known)
        off = np.abs(value - known)[both].max(initial=0) / np.abs(known)[both].max(initial=1e-30)
        off = off if np.array_equal(np.isfinite(value), np.isfinite(known)) else np.inf
        end = np.abs(again.end - stored.end).max()
        rows.append(Rerun(synth.name, loss.name, trial, equal, *map(float, (drawn, off, apart, end))))
    return rows


class Rerun(NamedTuple):
    """A stored trial and the same trial run again: whether all of it is `equal` to the last bit; how far the target and
    start that were `drawn` are apart; how far the loss at every stored point is from the stored `value`, as a share of
    the largest; how far the stored `score` is from that of the stored point, as a share of it (or of 0.01, where it is
    less); and how far apart the two searches `end`."""

    synth: str
    loss: str
    trial: int
    equal: bool
    drawn: float
    value: float
    score: float
    end: float

    @property
    def is_within_rounding(self) -> bool:
        """Whether another machine's rounding can explain the difference: `drawn` ≤ 0.001, `value` and `score` ≤ 1 %."""
        return self.drawn <= 1e-3 and self.value <= 1e-2 and self.score <= 1e-2


def solve(experiment: Experiment, synth: Synth, loss: Loss, trials: Sequence[int]) -> Trials:
    """Run some trials of a pair here and now; the outcome of a trial does not depend on the others."""
    lanes, index = 1 if jax.default_backend() == "cpu" else _LANES, np.int16 if experiment.steps < 2**15 else np.int32
    parts = []
    for first in range(0, len(trials), lanes):
        batch = list(trials[first : first + lanes])
        problems = experiment.draw(synth, loss, batch + batch[-1:] * (lanes - len(batch)))  # one shape, one program
        path = experiment.match(synth, loss, problems)
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


@partial(jax.jit, static_argnums=(0, 1))
def _score(synth: Synth, score: MSS, target: jax.Array, theta: jax.Array) -> jax.Array:
    return score(target, synth(theta))


@partial(jax.jit, static_argnums=(0, 1))
def _values(synth: Synth, loss: Loss, target: jax.Array, points: jax.Array) -> jax.Array:
    """The loss at `points [T, P]`, `[T]`."""
    wanted = loss.feature(target)
    return jax.lax.map(lambda theta: loss.distance(wanted, loss.feature(synth(theta))), points)


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
        with _pool(workers or cores()) as pool:
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
    """Processes started here do not hear Ctrl-C, which is for this one, and none is left half started: it waits."""
    held: list[int] = []
    mask = None if sys.platform == "win32" else signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    heed = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if heed is not None:  # a thread of JAX may take the signal, and Python then stops the main thread, mask or not
        signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if heed is not None:
            signal.signal(signal.SIGINT, heed)
        if held:
            signal.raise_signal(signal.SIGINT)


def _start_worker(parent: int) -> None:
    """One core for each worker, and none that outlives a killed parent."""
    os.environ["NPROC"] = "1"  # XLA's thread pool

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _provenance(seconds: float, workers: int | None) -> dict[str, Any]:
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "workers": workers or cores(),
        "cores": cores(),
        "device": f"{jax.devices()[0].platform}, {jax.devices()[0].device_kind}, {platform.machine()}",
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str | None:
    """The commit of the checkout that this module lies in, with `+` when files of it were changed."""
    git = partial(subprocess.run, cwd=_PACKAGE, capture_output=True, text=True, check=True)
    try:
        changed = git(["git", "status", "--porcelain", "--untracked-files=no", "--", ".", "../faust"]).stdout.strip()
        return git(["git", "rev-parse", "HEAD"]).stdout.strip() + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):  # not a checkout
        return None
