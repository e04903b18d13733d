"""What is computed once for many points and kept: chunks on the disk that survive a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from tqdm import tqdm

from sonimatch.audio import replacing

Rows = Mapping[str, np.ndarray]
"""Arrays of equally many rows, by name."""


class DataError(ValueError):
    """A folder that does not hold what is asked of it; the message names the folder."""


def opened(folder: str | os.PathLike[str], settings: Mapping[str, Any]) -> Path:
    """The folder, made if need be, with `settings` beside what it holds, in `settings.json`; `DataError` where it holds
    other settings, or something else."""
    place, wanted = Path(folder), json.loads(json.dumps(settings))
    note = place / "settings.json"
    if place.exists() and not note.is_file() and (not place.is_dir() or any(place.iterdir())):
        raise DataError(f"{place} is there and holds something else; name an empty or a new folder")
    if note.is_file():
        held = json.loads(note.read_text(encoding="utf-8"))
        if other := sorted(key for key in {**held, **wanted} if held.get(key) != wanted.get(key)):
            raise DataError(f"{place} was made with other settings: {', '.join(other)}; name another folder")
    place.mkdir(parents=True, exist_ok=True)
    with replacing(note) as file:
        file.write(json.dumps(wanted, indent=1, sort_keys=True).encode())
    return place


@dataclass(frozen=True)
class Kept:
    """`rows` rows of some arrays, computed `chunk` at a time and kept in `folder`, a file for each chunk.

    `settings`, plain values for JSON, say what is computed, and lie beside the chunks as `settings.json`; a folder with
    other settings is refused (`DataError`), and so is one with anything else in it. A file is written whole or not at
    all, and named after its number and the SHA-256 of its arrays: what is missing or damaged is computed, and only
    that, so that a run that was killed goes on, and ends with the same bytes.
    """

    folder: str | os.PathLike[str]
    settings: Mapping[str, Any]
    rows: int
    chunk: int = 64

    def __post_init__(self) -> None:
        for name in ("rows", "chunk"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")

    @cached_property
    def _place(self) -> Path:
        return opened(self.folder, {**self.settings, "rows": self.rows, "chunk": self.chunk})

    @property
    def _numbers(self) -> range:
        return range(-(-self.rows // self.chunk))

    def _read(self, number: int) -> Rows | None:
        """A chunk, or None where it is missing or not what its name says."""
        for path in self._place.glob(f"{number:05d}-*.npz"):
            try:
                with path.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
                    found = {name: held[name] for name in held.files}
            except (ValueError, EOFError, BadZipFile):
                continue
            if path.stem == f"{number:05d}-{_digest(found)}":
                return found
        return None

    def missing(self) -> list[int]:
        """The numbers of the chunks that are not there, or damaged."""
        return [number for number in self._numbers if self._read(number) is None]

    def compute(self, make: Callable[[np.ndarray], Rows], *, progress: bool = True) -> Kept:
        """Compute what is missing: `make(numbers [k])` gives the arrays of the rows of these numbers."""
        missing = self.missing()
        with tqdm(total=len(self._numbers), initial=len(self._numbers) - len(missing), delay=2, disable=not progress,
                  desc=Path(self.folder).name, unit="chunk", leave=False) as bar:  # fmt: skip
            for number in missing:
                some = np.arange(number * self.chunk, min((number + 1) * self.chunk, self.rows))
                made = {name: np.asarray(array) for name, array in make(some).items()}
                if short := {name: len(array) for name, array in made.items() if len(array) != len(some)}:
                    raise ValueError(f"{len(some)} rows were asked for, and the arrays have {short}")
                for damaged in self._place.glob(f"{number:05d}-*.npz"):
                    damaged.unlink()
                with replacing(self._place / f"{number:05d}-{_digest(made)}.npz") as file:
                    np.savez(file, **made)  # pyright: ignore[reportArgumentType]
                bar.update()
        return self

    def __getitem__(self, name: str) -> np.ndarray:
        """All rows of an array. `DataError` where some are missing, `KeyError` for a name that there is not."""
        parts = [self._read(number) for number in self._numbers]
        if absent := [number for number, part in enumerate(parts) if part is None]:
            raise DataError(f"{self.folder} has no whole chunk {absent[0]} of {len(parts)}; compute it first")
        return np.concatenate([part[name] for part in parts if part is not None])


def _digest(arrays: Rows) -> str:
    told = sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        told.update(f"{name} {array.dtype.str} {array.shape}".encode())
        told.update(array.tobytes())
    return told.hexdigest()[:16]
