"""Sounds of a synth from all over its parameters, and pictures of them, made once and kept."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sonimatch.features import CQT
from sonimatch.learn.data import Kept
from sonimatch.study.experiment import _plain
from sonimatch.types import Synth

FLOOR = 1e-2  # of the pictures, in the unit of the audio times the root of a filter's samples


@dataclass(frozen=True)
class Corpus:
    """One sound from each cell of a grid over the unit cube, `cells` along each of its P parameters.

    The point is drawn uniformly from its cell, and the cells are shuffled, both by `seed`; the last tenth is the test
    set, the tenth in the middle the validation set, and the rest is for training. `picture` is what a network sees of a
    sound: `log(1 + C / 0.01)`, one frame less than the transform has, so that a power of two is left. `ValueError` for
    fewer than 10 cells in all, and where synth and transform differ in sample rate. Source: Han, Lostanlen and Lagrange
    2024, section IV, whose grids have 30³ and 10⁵ cells.
    """

    synth: Synth
    picture: CQT
    cells: int
    seed: int = 0

    def __post_init__(self) -> None:
        if not (isinstance(self.cells, int) and self.cells >= 1 and len(self) >= 10):
            raise ValueError(f"cells is {self.cells!r} along each of {len(self.synth.space)} parameters; take more: at "
                             "least 10 in all")  # fmt: skip
        if self.picture.sample_rate != self.synth.sample_rate:
            raise ValueError(
                f"{self.synth.name} has {self.synth.sample_rate} Hz, its picture {self.picture.sample_rate} Hz"
            )

    def __len__(self) -> int:
        return self.cells ** len(self.synth.space)

    @property
    def theta(self) -> np.ndarray:
        """The points in the cube, `[n, P]`, float32."""
        rng, shape = np.random.default_rng(self.seed), (self.cells,) * len(self.synth.space)
        corners = np.stack(np.unravel_index(rng.permutation(len(self)), shape), axis=1)
        return ((corners + rng.random(corners.shape)) / self.cells).astype(np.float32)

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """Which rows are for "training", "validation" and "test"."""
        n, tenth = len(self), len(self) // 10
        middle = np.arange(n // 2 - tenth // 2, n // 2 - tenth // 2 + tenth)
        test = np.arange(n - tenth, n)
        return {"training": np.setdiff1d(np.arange(n - tenth), middle), "validation": middle, "test": test}

    def pictures(self, folder: str | os.PathLike[str], *, chunk: int = 256, progress: bool = True) -> np.ndarray:
        """Pictures of all sounds, `[n, frames, bins]`, float16, from `folder` or computed into it (see `Kept`)."""
        theta = self.theta
        settings = {"what": "pictures", "floor": FLOOR} | _plain(self)
        kept = Kept(Path(folder), settings, len(self), min(chunk, len(self)))

        def make(some: np.ndarray) -> dict[str, np.ndarray]:  # of one shape, so that one program serves all
            points = np.resize(theta[some], (kept.chunk, theta.shape[1]))
            return {"picture": np.asarray(_pictures(self.synth, self.picture, points))[: len(some)].astype(np.float16)}

        return kept.compute(make, progress=progress)["picture"]


def picture(transform: CQT, audio: jax.Array) -> jax.Array:
    """What a network sees of a sound, `[frames, bins]`."""
    return jnp.log1p(transform(audio) / FLOOR)[: audio.size // transform.hop_length]


@partial(jax.jit, static_argnums=(0, 1))
def _pictures(synth: Any, transform: CQT, theta: jax.Array) -> jax.Array:
    return jax.lax.map(lambda point: picture(transform, synth(point)), theta)
