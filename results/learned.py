"""What networks learn: the records `learned/*.npz`, and the command that makes them again.

`python results/learned.py` trains for every synth under every objective with three seeds, one run on each core, scores
all guesses for the test sets, and writes a record for each synth. Runs lie in `build/learned/`, sounds and metrics in
`build/learned/data/`; kill the process at any moment and call it again. Names of synths choose some: `... drum`.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from sonimatch.audio import replacing
from sonimatch.learn import eigen
from sonimatch.learn.recipe import OBJECTIVES, Recipe, recipe
from sonimatch.learn.scores import Scores, scores
from sonimatch.match import cores
from sonimatch.study.run import _provenance

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "learned"
SYNTHS, SEEDS = ("arpeggiator", "drum"), (0, 1, 2)
CURVES = ("phase", "training", "validation", "p_loss", "mss", "rate_used", "damping_used")


def trained(synth: str, objective: str, seed: int) -> tuple[list[dict[str, float]], Scores, float]:
    """The history of a run, the scores of its guesses for the test set, and the seconds that it took."""
    made, folder = recipe(synth), BUILD / f"{synth}-{objective}-{seed}"
    model, history = made.fit(objective, folder, BUILD / "data", seed=seed, progress=False)
    note, took = folder / "scores.npz", sum(entry["seconds"] for entry in history)
    if not note.is_file():
        rows = made.rows("p-loss", BUILD / "data", progress=False)
        found = scores(model, made.synth, made.phi, rows, made.corpus.parts["test"])
        with replacing(note) as file:
            np.savez(file, **found._asdict())  # pyright: ignore[reportArgumentType]
    with np.load(note) as held:
        found = Scores(*(held[name] for name in Scores._fields))
    print(f"{folder.name}: {took:.0f} s, P-loss {found.p_loss.mean():.3f}, JTFS {found.jtfs.mean():.3g}, MSS "
          f"{found.mss.mean():.3g}", flush=True)  # fmt: skip
    return history, found, took


def record(made: Recipe, runs: dict[tuple[str, int], Any]) -> dict[str, np.ndarray]:
    """Arrays over objectives, seeds, and epochs or sounds of the test set."""
    def table(read: Any) -> np.ndarray:
        rows = [[np.asarray(read(*runs[objective, seed])) for seed in SEEDS] for objective in OBJECTIVES]
        return np.array(rows)

    arrays = {name: table(lambda history, *_, name=name: [entry[name] for entry in history]) for name in CURVES}
    arrays |= {f"test_{name}": table(lambda _, found, __, name=name: getattr(found, name)) for name in Scores._fields}
    rows = made.rows("pnp", BUILD / "data", progress=False)
    arrays["test_true"] = made.corpus.theta[made.corpus.parts["test"]]
    arrays["eigenvalues"] = eigen(rows["M"][made.corpus.parts["training"]]).values
    arrays["seconds"] = table(lambda *run: run[2])
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def main(words: list[str]) -> None:
    if unknown := {*words} - {*SYNTHS}:
        sys.exit(f"no synth {min(unknown)!r} (there are: {', '.join(SYNTHS)})")
    for synth in words or SYNTHS:
        made = recipe(synth)
        made.rows("pnp", BUILD / "data")  # on all cores, before a run has one
        jobs = list(product(OBJECTIVES, SEEDS))
        workers, os.environ["NPROC"] = cores(), "1"  # a core for each
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            done = [pool.submit(trained, synth, *job) for job in jobs]
            runs = {job: each.result() for job, each in zip(jobs, done, strict=True)}
        del os.environ["NPROC"]
        told = {"provenance": _provenance(sum(run[2] for run in runs.values()), 1), "objectives": OBJECTIVES,
                "seeds": SEEDS, "settings": made.settings("")}  # fmt: skip
        (HERE / "learned").mkdir(exist_ok=True)
        with replacing(HERE / "learned" / f"{synth}.npz") as file:
            np.savez_compressed(file, told=np.array(json.dumps(told)), **record(made, runs))  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    main(sys.argv[1:])
