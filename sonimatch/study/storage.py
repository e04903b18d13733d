"""The files of a study: one record, written all or nothing, and until then its chunks, which a kill leaves whole."""

from __future__ import annotations

import json
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from sonimatch.audio import replacing
from sonimatch.study.experiment import Experiment, StudyError, _different
from sonimatch.study.record import Study, Trials, _checksum, _flat, _text

_CHUNK = 20  # trials that are stored together: what a kill can cost, per worker


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
                if "header" not in file.files:
                    raise StudyError(
                        f"{path} is no study of sonimatch: it has no header beside {', '.join(file.files)}"
                    )
                arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop("header").tobytes())
        if _checksum(header["settings"], arrays) != header["checksum"]:
            raise ValueError("the checksum does not fit")
        header["settings"].get("search", {}).pop("evals_per_step", None)  # 1 in records made before costs were strict
    except FileNotFoundError:
        raise StudyError(f"{path}: there is no such file") from None
    except StudyError:
        raise
    except Exception as error:  # a damaged archive can fail in any way
        raise StudyError(f"{path} is damaged: {error or type(error).__name__}") from None
    return header, arrays


def _chunk(parts: Path, pair: int, first: int) -> Path:
    return parts / f"{pair:03d}-{first:06d}.npz"


def _names(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(synth["name"], loss["name"]) for synth in settings["synths"] for loss in settings["losses"]]


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
            path = _chunk(parts, pair, first)
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
            stop, path = min(first + _CHUNK, experiment.trials), _chunk(parts, pair, first)
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


def _assemble(experiment: Experiment, parts: Path, provenance: Mapping[str, Any]) -> Study:
    trials, core_seconds = {}, 0.0
    for pair, (synth, loss) in enumerate(experiment.pairs):
        chunks = [_read(_chunk(parts, pair, first)) for first in range(0, experiment.trials, _CHUNK)]
        core_seconds += sum(header["core_seconds"] for header, _ in chunks)
        whole = (np.concatenate([arrays[name] for _, arrays in chunks]) for name in Trials._fields)
        trials[synth.name, loss.name] = Trials(*whole)
    return Study(experiment.settings, {**provenance, "core_seconds": round(core_seconds, 1)}, trials)


@contextmanager
def _alone(name: str, parts: Path) -> Iterator[None]:
    """Hold the folder of an unfinished study; `StudyError`, with its process, when another one does.

    The system ends the hold with the process, however that ends.
    """
    while True:
        parts.mkdir(parents=True, exist_ok=True)
        try:
            file = (parts / "lock").open("a+")
        except FileNotFoundError:  # another run has just finished and taken the folder away
            continue
        with file:
            try:
                _hold(file)
            except OSError:
                file.seek(0)
                raise StudyError(
                    f"process {file.read() or '(just started)'} is running {name} in this folder: {parts}; "
                    f"wait until it ends, or choose another folder"
                ) from None
            if not _is_there(parts / "lock", file):
                continue
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
            return


def _is_there(path: Path, file: TextIO) -> bool:
    """Whether an open file still is the one of this path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _hold(file: TextIO) -> None:
        file.seek(2**20)  # a byte that nobody reads
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _hold(file: TextIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove(parts: Path) -> None:
    """Take the folder of a finished study away, its lock last."""
    for file in sorted(parts.iterdir(), key=lambda file: file.name == "lock"):
        with suppress(PermissionError):  # Windows keeps an open lock
            file.unlink()
    with suppress(OSError):  # it is in use again
        parts.rmdir()


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
