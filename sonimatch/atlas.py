"""An atlas of a synth: what many of its sounds are like, computed once, so that a search begins beside its target."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np
from platformdirs import user_cache_path
from tqdm import tqdm

from sonimatch.audio import replacing
from sonimatch.match import match
from sonimatch.search.race import apart, spread
from sonimatch.search.race_from import RaceFrom
from sonimatch.types import Loss, Match, Synth

_FORMAT = 1
_WIDTH = 512  # numbers that are kept of an array of a feature
_BATCH = 64


@dataclass(frozen=True, eq=False)
class Atlas:
    """Candidates of a synth, `theta [n, P]`, and `sketches [n, q]` of their features under a loss.

    Of each array of a feature 512 numbers are kept, or all if there are no more: its entries, in random order and with
    random signs, summed to so many, which keeps Euclidean distances to 1/√512, 4 %, whatever the array (M. Charikar, K.
    Chen and M. Farach-Colton, "Finding frequent items in data streams", 2002). Each array counts alike: `scale [a]` is
    the root mean square of its distance from the mean candidate. The nearest sketches only propose; the loss decides.
    Shown in notebooks/search_that_solves.md.
    """

    synth: Synth
    loss: Loss
    theta: np.ndarray
    sketches: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(
        cls,
        synth: Synth,
        loss: Loss,
        candidates: int = 4096,
        *,
        folder: str | os.PathLike[str] | None = None,
        progress: bool = True,
    ) -> Atlas:
        """The atlas of a synth and a loss, from `folder` if it is there, else made and left there, all or nothing.

        `candidates`, 2 or more, are the points of a Sobol sequence, on the grid of quantised parameters; each costs one
        rendering, once. The default folder is `sonimatch/atlas` in the user's cache; a file is named after the hash
        of the program, all settings of synth and loss and the versions of sonimatch, JAX and NumPy. It takes 2 KiB at
        most for each candidate and array of the feature: 8 MiB for L1_Spec, 10 MiB for Marginals.
        A file that is damaged is made again. Deleting the folder costs nothing but time.

        Raises ValueError for fewer candidates, for a synth without parameters, and when the sample rates of loss and
        synth differ.
        """
        if not len(synth.space):
            raise ValueError(f"{synth.name} has no parameter to match")
        if not candidates >= 2:
            raise ValueError(f"candidates is {candidates}; it must be at least 2")
        if loss.sample_rate not in (None, synth.sample_rate):
            raise ValueError(f"{loss.name} works at {loss.sample_rate} Hz but {synth.name} at {synth.sample_rate} Hz")
        place = Path(folder or user_cache_path("sonimatch", appauthor=False) / "atlas")
        file = place / f"{synth.name}-{loss.name}-{_hash(synth, loss, candidates)}.npz"
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
                return cls(synth, loss, held["theta"], held["sketches"], held["scale"])
        except (FileNotFoundError, ValueError, KeyError, EOFError, BadZipFile):
            pass
        made = cls._made(synth, loss, candidates, progress)
        place.mkdir(parents=True, exist_ok=True)
        with replacing(file) as stream:
            np.savez(stream, theta=made.theta, sketches=made.sketches, scale=made.scale)
        return made

    @classmethod
    def _made(cls, synth: Synth, loss: Loss, candidates: int, progress: bool) -> Atlas:
        points = spread(np.zeros(len(synth.space)), candidates)
        theta = np.asarray(synth.space.on_grid(points.astype(np.float32)))
        parts = []
        with tqdm(total=candidates, delay=2, disable=not progress, leave=False) as bar:
            bar.set_description(f"atlas of {synth.name}, {loss.name}")
            for first in range(0, candidates, _BATCH):
                some = theta[np.arange(first, first + _BATCH).clip(max=candidates - 1)]
                parts.append(jax.device_get(_sketched(synth, loss, some)))
                bar.update(min(_BATCH, candidates - first))
        arrays = [np.concatenate(array)[:candidates] for array in zip(*parts, strict=True)]
        arrays = [np.where(np.isfinite(array), array, np.nan) for array in arrays]
        away = [np.sqrt(np.nanmean(np.nansum((array - np.nanmean(array, 0)) ** 2, 1))) for array in arrays]
        scale = np.where(np.array(away) > 0, away, 1).astype(np.float32)
        return cls(synth, loss, theta, np.hstack([a / s for a, s in zip(arrays, scale, strict=True)]), scale)

    def nearest(self, target: jax.Array, count: int = 8, gap: float = 0.03) -> np.ndarray:
        """The candidates whose features are nearest to those of `target [num_samples]`, the nearest first, each at
        least `gap` from the others in some parameter: `[count, P]`, or fewer if there are no more so far apart.

        Raises ValueError when the target does not fit the synth, and for a count below 1.
        """
        if not count >= 1:
            raise ValueError(f"count is {count}; it must be at least 1")
        target = jnp.asarray(target)
        if target.shape != (self.synth.num_samples,):
            raise ValueError(f"target must have shape ({self.synth.num_samples},), not {target.shape}")
        target = target.astype(jnp.result_type(target, jnp.float32))
        wanted = [a / s for a, s in zip(_sketch_of(self.loss, target), self.scale, strict=True)]
        distance = np.linalg.norm(self.sketches - np.hstack(jax.device_get(wanted)), axis=1)
        return self.theta[apart(self.theta, np.where(np.isfinite(distance), distance, np.inf), count, gap)]

    def match(
        self,
        target: jax.Array,
        evaluations: int = 50,
        *,
        starts: int = 8,
        search: RaceFrom = RaceFrom(),  # noqa: B008 (frozen)
        key: jax.Array | None = None,
        progress: bool = True,
    ) -> Match:
        """As `sonimatch.match`, with a race from the `starts` nearest candidates.

        `evaluations` are those of this match: the nearest candidates are rendered again and counted; the renderings of
        the atlas, one a candidate, were paid once, and to compare with their sketches costs none.
        """
        first, *others = self.nearest(target, starts)
        search = replace(search, points=tuple(tuple(map(float, point)) for point in others))
        return match(self.synth, self.loss, target, search, evaluations, init=first, key=key, progress=progress)


def _hash(synth: Any, loss: Loss, candidates: int) -> str:
    settings = (synth, getattr(synth, "source_sha256", None), synth.space, loss, candidates, _FORMAT)
    return sha256(repr((*settings, version("sonimatch"), jax.__version__, np.__version__)).encode()).hexdigest()[:16]


def _sketch(array: jax.Array, number: int) -> jax.Array:
    flat = array.ravel()
    if flat.size <= _WIDTH:
        return flat
    rng = np.random.default_rng((number, flat.size))
    order, sign = rng.permutation(flat.size), rng.choice(np.array([-1, 1], np.int8), flat.size)
    return jnp.pad(flat[order] * sign, (0, -flat.size % _WIDTH)).reshape(-1, _WIDTH).sum(0)


@partial(jax.jit, static_argnums=0)
def _sketch_of(loss: Loss, audio: jax.Array) -> list[jax.Array]:
    return [_sketch(array, number) for number, array in enumerate(jax.tree.leaves(loss.feature(audio)))]


@partial(jax.jit, static_argnums=(0, 1))
def _sketched(synth: Synth, loss: Loss, theta: jax.Array) -> list[jax.Array]:
    return jax.lax.map(lambda point: _sketch_of(loss, synth(point)), theta)
