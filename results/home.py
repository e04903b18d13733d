"""Which losses point home: the record `home.json`, and the command that makes it again.

`python results/home.py` measures every synth of the published study with every loss on one core, and writes the record.
Each finished synth is kept in `build/home/` until all are there; kill the process at any moment and call it again.
`--cost` times an evaluation of every loss again and leaves the rest of the record as it is.
"""

from __future__ import annotations

import os

os.environ.setdefault("NPROC", "1")  # one core, also for XLA's own threads

import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from sonimatch.audio import replacing
from sonimatch.home import DISTANCES, Home, points_home
from sonimatch.losses import LOSSES, CumulativeEnergy, DTW_Envelope, L1_Spec, Sum
from sonimatch.study import PAPER
from sonimatch.study.experiment import _plain
from sonimatch.study.run import _provenance
from sonimatch.synths import add_sinesaw
from sonimatch.types import Loss, Synth

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "home"
OWN = replace(PAPER, shared_noise=False)
TARGETS = 4  # those of the first trials of the preset
SETTINGS: dict[str, Any] = {
    "candidates": 50, "points": 3, "num": 61, "step": 0.01, "distances": DISTANCES, "ripple": 0.01, "seed": 0
}  # fmt: skip
GROUPS: dict[str, tuple[Any, Any]] = {synth.name: (synth, PAPER) for synth in PAPER.synths}
GROUPS |= {f"{name}, own noise": (synth, OWN) for name, (synth, _) in GROUPS.items() if "no.noise" in synth.source}
"""What is measured: each synth, and those with noise once more with targets that have a noise of their own, without the
lines along the axes."""


def losses_of(synth: Synth) -> tuple[Loss, ...]:
    """Every loss, the logarithmic form of one, and a sum of two whose scales fit the synth."""
    sounds = jax.lax.map(synth, synth.space.sample(jax.random.key(1), 64))
    parts = L1_Spec(), DTW_Envelope()
    both = Sum.scaled(parts, sounds[:32], sounds[32:], "L1 + DTW")
    scales, floors = (tuple(float(f"{x:.3g}") for x in numbers) for numbers in (both.scales, both.floors))
    logarithmic = CumulativeEnergy(log=True, name="CumulativeEnergy, log")
    return (*LOSSES, logarithmic, replace(both, scales=scales, floors=floors))


def measure(group: str) -> dict[str, Any]:
    """Every loss on one synth, target by target, from the file of the group or computed now."""
    synth, experiment = GROUPS[group]
    losses = losses_of(synth)
    how: dict[str, Any] = SETTINGS if experiment.shared_noise else SETTINGS | {"num": 3}
    settings = json.loads(json.dumps({"targets": TARGETS, **how, "synth": _plain(synth), "losses": _plain(losses)}))
    path = BUILD / f"{group}.json"
    if path.is_file() and (kept := json.loads(path.read_text()))["settings"] == settings:
        return kept
    start = time.perf_counter()
    drawn = experiment.draw(synth, losses[0], range(TARGETS))
    found = points_home(synth, losses, drawn.theta_true, drawn.target, **how)
    wanted = Home._fields if experiment.shared_noise else ("order", "gradient", "secant")
    rows = {
        name: {what: np.round(getattr(home, what).astype(float), 3).tolist() for what in wanted}
        for name, home in found.items()
    }
    kept = {"settings": settings, "seconds": round(time.perf_counter() - start, 1), "losses": rows}
    _write(path, kept)
    print(f"{group}: {kept['seconds']:.0f} s", flush=True)
    return kept


def cost(rounds: int = 7, points: int = 4) -> dict[str, Any]:
    """Milliseconds of one evaluation of `add_sinesaw`, rendering included: the value, and the value with its gradient.

    The median of some rounds, all losses in turn in each, so that they meet the same weather.
    """
    theta = add_sinesaw.space.sample(jax.random.key(2), points)
    calls = {}
    for loss in losses_of(add_sinesaw):
        reference = loss.feature(add_sinesaw(theta[0]))

        def value(point: jax.Array, reference: Any, loss: Loss = loss) -> jax.Array:
            return loss.distance(reference, loss.feature(add_sinesaw(point)))

        for name, function in {"value": value, "with_gradient": jax.value_and_grad(value)}.items():
            every = jax.jit(lambda points, to, f=function: jax.lax.map(lambda point: f(point, to), points))
            calls[loss.name, name] = partial(every.lower(theta, reference).compile(), theta, reference)
    seconds: dict[Any, list[float]] = {call: [] for call in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            seconds[name].append(time.perf_counter() - start)
    taken: dict[str, dict[str, float]] = {}
    for (loss_name, what), turns in seconds.items():
        taken.setdefault(loss_name, {})[what] = round(1e3 * float(np.median(turns)) / points, 3)
    return {"milliseconds": taken, "provenance": _provenance(sum(map(sum, seconds.values())), 1)}


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(json.dumps(content, separators=(",", ":")).replace('"},"', '"},\n"').encode() + b"\n")


def main(arguments: list[str]) -> None:
    record = HERE / "home.json"
    if arguments == ["--cost"]:
        _write(record, json.loads(record.read_text()) | {"cost": cost()})
        return
    if arguments:
        sys.exit(f"no word {arguments[0]!r} (there is: --cost)")
    groups = {group: measure(group) for group in GROUPS}
    provenance = _provenance(sum(each.pop("seconds") for each in groups.values()), 1)
    _write(record, {"provenance": provenance, "groups": groups, "cost": cost()})


if __name__ == "__main__":
    main(sys.argv[1:])
