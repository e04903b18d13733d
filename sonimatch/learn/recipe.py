"""What is trained on what: a synth, its sounds and pictures, a feature with its metric, a network, and how long."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from sonimatch.features import CQT, STFT
from sonimatch.learn.corpus import Corpus
from sonimatch.learn.encoder import compact, efficientnet_b0
from sonimatch.learn.metric import eigen, metrics
from sonimatch.learn.objective import DDSP, PNP, PLoss, RandomPaths
from sonimatch.learn.scores import Scores, guesses, scores
from sonimatch.learn.train import Phase, train
from sonimatch.losses import JTFS
from sonimatch.scattering import JointScattering
from sonimatch.study.experiment import _plain
from sonimatch.synths import arpeggiator, drum

OBJECTIVES = ("p-loss", "ddsp", "p-ddsp", "pnp", "p-pnp", "paths")
"""In the order of table II of Han et al. 2024: P-loss, the spectral loss, P-loss and then the spectral loss, PNP, and
P-loss and then PNP; and the distance in Φ itself, from one path a step."""

WATCHED = 32


@dataclass(frozen=True)
class MultiScale:
    """Magnitudes of STFTs with windows of 2^5 to 2^10 samples and a quarter of that between them, from audio
    `[samples]` to a tuple of arrays: the feature of the spectral loss. Source: Han et al. 2024, equation 2."""

    windows: tuple[int, ...] = (32, 64, 128, 256, 512, 1024)

    def __call__(self, audio: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(STFT(n, n // 4, n, n // 2)(audio) for n in self.windows)


@dataclass(frozen=True)
class Recipe:
    """How a network learns to guess the parameters of a synth, at a `scale`, under any of `OBJECTIVES`.

    - `cells`: of the corpus along each parameter; `picture`: what the network sees (see `Corpus`).
    - `phi`: the feature whose metric PNP has, and in which guesses are scored.
    - `network`: called with the number of parameters and `rngs`.
    - `epochs`: of which, where P-loss goes before, half are its own; `batch`: rows in a step.
    - `steps`, `spectral_steps`: in an epoch (`None`: each row once); the second where every step renders and analyses
      its sounds.

    Source of the procedure: Han, Lostanlen and Lagrange 2024, section V; of the warps of the parameters, which the
    network guesses from -1 to 1, table I.
    """

    name: str
    synth: Any
    scale: str
    cells: int
    picture: CQT
    phi: JointScattering
    network: Callable[..., nnx.Module]
    epochs: int
    batch: int
    steps: int | None
    spectral_steps: int | None
    spectral: MultiScale = MultiScale()

    @property
    def corpus(self) -> Corpus:
        return Corpus(self.synth, self.picture, self.cells)

    @property
    def heard(self) -> tuple[Any, str]:
        """The feature whose metric PNP has, and what its folder is called."""
        return self.phi, "metric"

    def settings(self, objective: str) -> dict[str, Any]:
        """All of it in plain values, as a folder of a run keeps it."""
        told = {name: value for name, value in vars(self).items() if name not in ("network", "synth")}
        return {"objective": objective, "network": self.network.__name__} | {
            name: _plain(value) for name, value in {**told, "synth": self.synth}.items()
        }

    def coordinates(self, theta: np.ndarray) -> np.ndarray:
        """What the network is to guess for points of the unit cube, both `[n, P]`; `points` is the way back."""
        return 2 * theta - 1

    def points(self, coordinates: np.ndarray) -> np.ndarray:
        """Points of the unit cube, the nearest for guesses outside of it."""
        return (np.clip(coordinates, -1, 1) + 1) / 2

    def make(self, rngs: nnx.Rngs) -> Any:
        """The network before training."""
        return self.network(len(self.synth.space), rngs=rngs)

    def rows(self, objective: str, cache: str | os.PathLike[str], *, progress: bool = True) -> dict[str, np.ndarray]:
        """What training reads: `picture [n, H, W]`, `nu [n, P]` from -1 to 1, and for PNP `M [n, P, P]`.

        Pictures and metrics are kept in folders of `cache`, so that they are computed once (see `Kept`). M is by `nu`;
        that of the test set, which nobody asks for, and those that are not finite are 0.
        """
        corpus, place = self.corpus, Path(cache)
        found = {"picture": corpus.pictures(place / f"{self.name}-pictures", progress=progress)}
        found["nu"] = self.coordinates(corpus.theta)
        if "pnp" in objective:
            asked = corpus.theta[: -len(corpus.parts["test"])]
            feature, kept = self.heard
            M = metrics(feature, self.synth, asked, place / f"{self.name}-{kept}", progress=progress)
            finite = np.isfinite(M).all((1, 2), keepdims=True)
            found["M"] = np.zeros((len(corpus), *M.shape[1:]), np.float32)
            found["M"][: len(M)] = np.where(finite, M, 0) / 4
        return found

    def phases(self, objective: str, rows: dict[str, np.ndarray]) -> tuple[Phase, ...]:
        """The phases of an objective; `ValueError` for one that there is not."""
        if objective not in OBJECTIVES:
            raise ValueError(f"no objective {objective!r} (there are: {', '.join(OBJECTIVES)})")
        first = self.epochs // 2 if objective.startswith("p-") and objective != "p-loss" else 0
        left, before = self.epochs - first, (Phase(PLoss(), first, steps=self.steps),) if first else ()
        if objective == "p-loss":
            return (Phase(PLoss(), left, steps=self.steps),)
        if "ddsp" in objective:
            return (*before, Phase(DDSP(self.synth, self.spectral), left, steps=self.spectral_steps))
        if objective == "paths":
            loss = JTFS(transform=self.phi, order=2, paths=1)
            return (Phase(RandomPaths(self.synth, loss), left, steps=self.spectral_steps),)
        damping = float(eigen(rows["M"]).values.max())
        optimizer = "clipped" if first else "adam"
        return (*before, Phase(PNP(), left, optimizer, damping=damping, steps=self.steps))

    def scored(self, model: Any, rows: dict[str, np.ndarray], some: np.ndarray) -> Scores:
        """Scores of the guesses for the rows `some`."""
        guessed = self.points(guesses(model, rows["picture"][some]))
        return scores(self.synth, self.phi, guessed, self.corpus.theta[some])

    def fit(
        self, objective: str, folder: str | os.PathLike[str], cache: str | os.PathLike[str], *, seed: int = 0,
        progress: bool = True,
    ) -> tuple[Any, list[dict[str, float]]]:  # fmt: skip
        """Train in `folder`, or go on there: the network, set to guess, and its history (see `train`), in which
        `p_loss`, `jtfs` and `mss` are those of the first `WATCHED` rows of the validation set, and `seconds` is the
        time that the epoch took."""
        rows, parts = self.rows(objective, cache, progress=progress), self.corpus.parts

        clock = [time.perf_counter()]

        def watch(model: Any) -> dict[str, float]:
            found = self.scored(model, rows, parts["validation"][:WATCHED])
            clock.append(time.perf_counter())
            told = {name: float(getattr(found, name).mean()) for name in ("p_loss", "jtfs", "mss")}
            return told | {"seconds": clock[-1] - clock[-2]}

        phases, settings = self.phases(objective, rows), self.settings(objective)
        return train(
            self.make, phases, rows, parts, folder, settings=settings, batch=self.batch, seed=seed, watch=watch,
            progress=progress,
        )  # fmt: skip


_ARPEGGIO, _BLOW = CQT(8192, 128.0, 96, 24, 128), CQT(22_050, 40.0, 96, 12, 512)
_PUBLISHED = JointScattering(13, (12, 1), 3, 1, "global", epsilon=1e-3)

RECIPES = (
    Recipe(
        "arpeggiator-cpu", arpeggiator, "cpu", 14, _ARPEGGIO, JointScattering(11, (6, 1), T="global", epsilon=1e-3),
        compact, 24, 64, None, 6,
    ),
    Recipe(
        "drum-cpu", drum, "cpu", 5, _BLOW, JointScattering(10, (4, 1), T="global", epsilon=1e-3), compact, 24, 64,
        None, 6,
    ),
    Recipe("arpeggiator-paper", arpeggiator, "paper", 30, _ARPEGGIO, _PUBLISHED, efficientnet_b0, 70, 256, 100, 400),
    Recipe("drum-paper", drum, "paper", 10, _BLOW, _PUBLISHED, efficientnet_b0, 70, 256, 100, 400),
)  # fmt: skip
"""Each synth at the scale of two cores, and at that of the paper, 25,600 sounds an epoch."""


def recipe(synth: str, scale: str = "cpu") -> Recipe:
    """The recipe for a synth at a scale; `ValueError` names those that there are."""
    for kind, asked in (("synth", synth), ("scale", scale)):
        known = sorted({one.synth.name if kind == "synth" else one.scale for one in RECIPES})
        if asked not in known:
            raise ValueError(f"no {kind} {asked!r} to train for (there are: {', '.join(known)})")
    return next(one for one in RECIPES if (one.synth.name, one.scale) == (synth, scale))
