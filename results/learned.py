"""What networks learn: the records `learned/*.npz`, and the command that makes them again.

`python results/learned.py` trains for every synth under every objective, and by algorithm 1 of Han et al. 2024 (P-loss,
then PNP) without each of its parts, with three seeds, one run on each core, scores all guesses for the test sets, and
writes a record for each synth. Runs lie in `build/learned/`, sounds and metrics in `build/learned/data/`; kill the
process at any moment and call it again. Names of synths choose some: `... drum`.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from sonimatch.audio import replacing
from sonimatch.learn import eigen
from sonimatch.learn.encoder import ACTIVATIONS
from sonimatch.learn.recipe import OBJECTIVES, Recipe, recipe
from sonimatch.learn.scores import Scores
from sonimatch.learn.train import Phase
from sonimatch.match import cores
from sonimatch.study.run import _provenance

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "learned"
SYNTHS, SEEDS = ("arpeggiator", "drum"), (0, 1, 2)
CURVES = ("phase", "training", "validation", "p_loss", "jtfs", "mss", "rate_used", "damping_used")
WITHOUT = ("joint scattering", "min-max", "logarithm", "pretraining", "clipping", "relaxing")
RANDOM = ("arpeggiator", "paths", 0)  # one run: its steps render and analyse, and each takes seconds


@dataclass(frozen=True)
class Ablated(Recipe):
    """P-loss and then PNP without one thing: the metric of joint scattering (that of the spectral loss instead), scaled
    parameters or logarithms of them (values as they are, and what ends the network as in table I), the epochs of P-loss
    (all are PNP's), clipped steps and weight decay (Adam instead), or a damping that falls (it stays)."""

    without: str = ""

    def _line(self) -> tuple[Any, bool]:
        """The parameters with their logarithms, or as they are, and whether they are scaled."""
        plain = replace(self.synth.space, warp=("linear",) * len(self.synth.space))
        return plain if self.without == "logarithm" else self.synth.space, self.without != "min-max"

    def coordinates(self, theta: Any) -> Any:
        line, scaled = self._line()
        along = theta if line == self.synth.space else line.scaled(self.synth.space.to_physical(theta))
        return 2 * along - 1 if scaled else line.unscaled(along)

    def points(self, coordinates: np.ndarray) -> np.ndarray:
        line, scaled = self._line()
        along = np.clip((coordinates + 1) / 2 if scaled else np.asarray(line.scaled(coordinates)), 0, 1)
        if line == self.synth.space:
            return along
        values, logs = np.asarray(line.to_physical(along)), np.array([w == "log" for w in self.synth.space.warp])
        return np.asarray(self.synth.space.scaled(np.where(logs, np.log(values), values)))

    def make(self, rngs: nnx.Rngs) -> Any:
        ends = ACTIVATIONS[self.without != "min-max", self.without != "logarithm"]
        return self.network(len(self.synth.space), rngs=rngs, activation=ends)

    @property
    def heard(self) -> tuple[Any, str]:
        return (self.spectral, "spectral-metric") if self.without == "joint scattering" else super().heard

    def rows(self, objective: str, cache: Any, *, progress: bool = True) -> dict[str, np.ndarray]:
        found = super().rows(objective, cache, progress=progress)
        theta = jnp.asarray(self.corpus.theta)
        slope = np.asarray(jax.jvp(self.coordinates, (theta,), (jnp.ones_like(theta),))[1])  # each by its own
        found["M"] = found["M"] * 4 / (slope[:, :, None] * slope[:, None])
        return found | {"nu": np.asarray(found["nu"])}

    def phases(self, objective: str, rows: dict[str, np.ndarray]) -> tuple[Phase, ...]:
        first, second = super().phases(objective, rows)
        if self.without == "pretraining":
            return (replace(second, epochs=self.epochs),)
        changed = {"clipping": {"optimizer": "adam"}, "relaxing": {"relaxed": 1.0}}.get(self.without, {})
        return first, replace(second, **changed)


def variant(synth: str, name: str) -> tuple[Recipe, str]:
    """The recipe and the objective of what is called so: an objective, or algorithm 1 without one of its parts."""
    made = recipe(synth)
    return (made, name) if name in OBJECTIVES else (Ablated(**vars(made), without=name), "p-pnp")


def trained(synth: str, name: str, seed: int) -> tuple[list[dict[str, float]], Scores]:
    """The history of a run, and the scores of its guesses for the test set."""
    (made, objective), folder = variant(synth, name), BUILD / f"{synth}-{name.replace(' ', '-')}-{seed}"
    model, history = made.fit(objective, folder, BUILD / "data", seed=seed, progress=False)
    note = folder / "scores.npz"
    if not note.is_file():
        rows = made.rows(objective, BUILD / "data", progress=False)
        found = made.scored(model, rows, made.corpus.parts["test"])
        with replacing(note) as file:
            np.savez(file, **found._asdict())  # pyright: ignore[reportArgumentType]
    with np.load(note) as held:
        found = Scores(*(held[name] for name in Scores._fields))
    print(f"{folder.name}: {sum(entry['seconds'] for entry in history):.0f} s, P-loss {found.p_loss.mean():.3f}, JTFS "
          f"{found.jtfs.mean():.3g}, MSS {found.mss.mean():.3g}", flush=True)  # fmt: skip
    return history, found


def record(made: Recipe, runs: dict[tuple[str, int], Any]) -> dict[str, np.ndarray]:
    """Arrays over variants, seeds, and epochs or sounds of the test set; NaN where there is no run."""
    variants = dict.fromkeys(name for name, _ in runs)

    def table(read: Any) -> np.ndarray:
        rows = [[np.asarray(read(*runs[each])) if (each := (name, seed)) in runs else None for seed in SEEDS]
                for name in variants]  # fmt: skip
        return np.array([[np.full_like(row[0], np.nan, float) if one is None else one for one in row] for row in rows])

    arrays = {name: table(lambda history, _, name=name: [entry[name] for entry in history]) for name in CURVES}
    arrays |= {f"test_{name}": table(lambda _, found, name=name: getattr(found, name)) for name in Scores._fields}
    arrays["seconds"] = table(lambda history, _: sum(entry["seconds"] for entry in history))
    arrays["test_true"] = made.corpus.theta[made.corpus.parts["test"]]
    rows = made.rows("pnp", BUILD / "data", progress=False)
    arrays["eigenvalues"] = eigen(rows["M"][made.corpus.parts["training"]]).values
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def main(words: list[str]) -> None:
    if unknown := {*words} - {*SYNTHS}:
        sys.exit(f"no synth {min(unknown)!r} (there are: {', '.join(SYNTHS)})")
    for synth in words or SYNTHS:
        made = recipe(synth)
        for needed in (made, variant(synth, "joint scattering")[0]):
            needed.rows("pnp", BUILD / "data")  # on all cores, before a run has one
        names = [name for name in OBJECTIVES if name != "paths"]
        jobs = [*product(names, SEEDS), *([RANDOM[1:]] if synth == RANDOM[0] else []), *product(WITHOUT, SEEDS)]
        workers, os.environ["NPROC"] = cores(), "1"  # a core for each
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            done = [pool.submit(trained, synth, *job) for job in jobs]
            runs = {job: each.result() for job, each in zip(jobs, done, strict=True)}
        del os.environ["NPROC"]
        seconds = sum(entry["seconds"] for history, _ in runs.values() for entry in history)
        told = {
            "provenance": _provenance(seconds, workers), "variants": [*dict.fromkeys(name for name, _ in runs)],
            "seeds": SEEDS, "settings": made.settings(""),
        }  # fmt: skip
        (HERE / "learned").mkdir(exist_ok=True)
        with replacing(HERE / "learned" / f"{synth}.npz") as file:
            np.savez_compressed(file, told=np.array(json.dumps(told)), **record(made, runs))  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    main(sys.argv[1:])
