"""What a feature makes of a synth's parameters: the record `geometry.json`, and the command that makes it again.

`python results/geometry.py` computes, on one core, the metrics of the arpeggiator over two maps and of the drum at some
points, and how far the sound really goes along their axes. Each finished chunk is kept in `build/geometry/`; kill the
process at any moment and call it again.
"""

from __future__ import annotations

import os

os.environ.setdefault("NPROC", "1")  # one core, also for XLA's own threads

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sonimatch.audio import replacing
from sonimatch.learn import Kept, eigen, metric, metrics
from sonimatch.losses import MSS_Spec
from sonimatch.scattering import JointScattering
from sonimatch.study.experiment import _plain
from sonimatch.study.run import _provenance
from sonimatch.synths import arpeggiator, drum
from sonimatch.types import Synth

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "geometry"
STEP = 0.1  # of the range, along the long and the short axis at every point of the map
NUM = 17  # steps along each parameter of the map, from STEP to 1 - STEP, so that no end is outside the cube


@dataclass(frozen=True)
class Spectrograms:
    """The magnitude spectrograms that `MSS_Spec` compares, audio ─► a tuple of arrays."""

    loss: MSS_Spec

    def __call__(self, audio: jax.Array) -> tuple[jax.Array, ...]:
        return self.loss.feature(audio)


FEATURES: dict[str, Any] = {
    "joint": JointScattering(J=11, Q=(6, 1), T="global", epsilon=1e-3),
    "spectrogram": Spectrograms(MSS_Spec()),
}
DRUM = JointScattering(J=10, Q=(4, 1), T="global", epsilon=1e-3)


def square(first: int, second: int, num: int) -> np.ndarray:
    """Points `[num², 3]` of the arpeggiator's cube on even steps of two coordinates, the third in the middle."""
    theta = np.full((num, num, 3), 0.5, np.float32)
    line = np.linspace(STEP, 1 - STEP, num)
    theta[..., first], theta[..., second] = np.meshgrid(line, line, indexing="ij")
    return theta.reshape(-1, 3)


MAP = square(1, 2, NUM)  # f_m and gamma
CARRIER = square(0, 2, 9)  # f_c and gamma
DRUMS = np.random.default_rng(0).uniform(0.1, 0.9, (24, 5)).astype(np.float32)


def principal(M: np.ndarray) -> np.ndarray:
    """The long and the short axis of the ellipses of `M [n, 2, 2]`: unit vectors `[n, 2, 2]`, one in each row.

    The component that is larger is positive."""
    axes = eigen(M).vectors.swapaxes(-1, -2)
    return axes * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(-1)[..., None], -1))


def squared(feature: Any, synth: Synth, begin: np.ndarray, end: np.ndarray, name: str, chunk: int) -> np.ndarray:
    """`||Φ(g(end)) - Φ(g(begin))||²` of points `begin [n, P]` and `end [n, m, P]`: `[n, m]`, in double precision."""
    settings = {"what": "squared distances", "synth": _plain(synth), "feature": _plain(feature),
                "points": [begin.tolist(), end.tolist()]}  # fmt: skip

    def flat(theta: jax.Array) -> jax.Array:
        return jnp.concatenate([jnp.ravel(array) for array in jax.tree.leaves(feature(synth(theta)))])

    def row(points: jax.Array) -> jax.Array:  # the first one is where the others come from
        here = flat(points[0])
        return jax.lax.map(lambda there: ((flat(there) - here) ** 2).sum(), points[1:])

    rows = jax.jit(lambda points: jax.lax.map(row, points))

    def make(some: np.ndarray) -> dict[str, np.ndarray]:
        points = np.concatenate([begin[:, None], end], 1)
        with jax.enable_x64(True):
            return {"squared": np.asarray(rows(np.resize(points[some], (chunk, *points.shape[1:]))))[: len(some)]}

    return Kept(BUILD / name, settings, len(begin), chunk).compute(make)["squared"]


def along(feature: Any, synth: Synth, theta: np.ndarray, steps: np.ndarray, name: str) -> dict[str, np.ndarray]:
    """At each point `[n, P]` the metric, in double precision, and the squared distances of `steps` along its axes."""
    settings = {"what": "metric", "synth": _plain(synth), "feature": _plain(feature), "theta": theta.tolist()}

    def make(some: np.ndarray) -> dict[str, np.ndarray]:
        with jax.enable_x64(True):
            return {"M": np.stack([metric(feature, synth, point) for point in theta[some]])}

    M = Kept(BUILD / f"{name}-metric", settings, len(theta), 2).compute(make)["M"]
    axes = principal(M)
    ends = theta[:, None, None] + steps[:, None] * axes[:, :, None]
    found = squared(feature, synth, theta, ends.reshape(len(theta), -1, theta.shape[1]), f"{name}-distance", 1)
    return {"theta": theta, "M": M, "axes": axes, "steps": steps, "squared": found.reshape(*axes.shape[:2], -1)}


@contextmanager
def timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Add the seconds of a part to those of earlier calls, which are kept."""
    start = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0) + time.perf_counter() - start
    _write(BUILD / "seconds.json", seconds)
    print(f"{name}: {seconds[name]:.0f} s", flush=True)


def main() -> None:
    clock = BUILD / "seconds.json"
    seconds: dict[str, float] = json.loads(clock.read_text()) if clock.is_file() else {}
    found: dict[str, Any] = {"map": {"theta": MAP}, "carrier": {"theta": CARRIER}, "near": {}}
    for feature, heard in FEATURES.items():
        for name, theta in {"map": MAP, "carrier": CARRIER}.items():
            with timed(f"{name}-{feature}", seconds):
                M = metrics(heard, arpeggiator, theta, BUILD / f"{name}-{feature}", chunk=32)
            found[name][feature] = {"M": M}
        axes = principal(found["map"][feature]["M"][:, 1:, 1:].astype(float))
        ends = np.repeat(MAP[:, None].astype(float), 2, 1)
        ends[..., 1:] += STEP * axes
        with timed(f"map-{feature}-distance", seconds):
            far = squared(heard, arpeggiator, MAP.astype(float), ends, f"map-{feature}-distance", 17)
        found["map"][feature] |= {"axes": axes, "squared": far}
    with timed("drum", seconds):
        found["drum"] = {"theta": DRUMS, "M": metrics(DRUM, drum, DRUMS, BUILD / "drum", chunk=8)}
    inside = np.random.default_rng(1).uniform(0.2, 0.8, (5, 3))
    halved = STEP / 2.0 ** np.arange(7)
    near: dict[str, tuple[Any, Synth, np.ndarray, np.ndarray]] = {
        name: (heard, arpeggiator, inside, halved) for name, heard in FEATURES.items()
    }
    near["drum"] = DRUM, drum, DRUMS[:4].astype(float), STEP / 4.0 ** np.arange(7)
    for name, given in near.items():
        with timed(f"near-{name}", seconds):
            found["near"][name] = along(*given, f"near-{name}")
    settings = {"features": _plain(FEATURES), "drum": _plain(DRUM), "step": STEP, "num": NUM}
    _write(HERE / "geometry.json",
           {"settings": settings, "provenance": _provenance(sum(seconds.values()), 1), **_rounded(found)})  # fmt: skip


def _rounded(found: Any) -> Any:
    """Arrays as lists, with eight digits."""
    if isinstance(found, dict):
        return {name: _rounded(each) for name, each in found.items()}
    return [_rounded(each) for each in found] if np.ndim(found) else float(f"{found:.8g}")


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(json.dumps(content, separators=(",", ":")).encode() + b"\n")


if __name__ == "__main__":
    main()
