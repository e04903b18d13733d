"""Mean difference of joint time–frequency scattering coefficients, all of them or a few drawn at random."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

import jax
import jax.numpy as jnp
import numpy as np

from sonimatch.features import absolute
from sonimatch.losses.l1_spec import check_shapes
from sonimatch.scattering import JointScattering


@dataclass(frozen=True)
class JTFS:
    """`L = mean |S(a) - S(b)|^order` over all coefficients of `sonimatch.scattering.JointScattering`.

    What the published study calls JTFS is `Scattering`, one-dimensional; this is the joint transform, which tells
    rising from falling. `transform` has its settings, among them `epsilon` for the logarithm; `order` is 1, the mean
    absolute difference as in the study, or 2, the mean square, a Euclidean distance as perceptual–neural–physical
    loss has it.

    With `paths=k`, `estimate` draws k of the P paths at random, with replacement: path p with probability
    `importance[p]`, positive numbers that add up to 1, or all alike where that is None. Its mean over keys is `L`, its
    gradient's mean that of `L`, for any probabilities; `weighted` finds those of least variance.

    `feature` takes floating-point audio `[samples]`, at least `2^J` of them, and gives `[paths, rows, frames]`;
    `distance` takes two of equal shape and gives a number ≥ 0, in the unit of the audio to the power of `order` where
    `epsilon` is None. `ValueError` for anything else. Source: Andén, Lostanlen and Mallat 2019; random paths:
    Mitcheltree et al., "SCRAPL", 2026. Shown in notebooks/listening_with_wavelets.md.
    """

    transform: JointScattering = JointScattering(J=12)  # noqa: RUF009 (frozen)
    order: Literal[1, 2] = 1
    paths: int | None = None
    importance: tuple[float, ...] | None = None
    name: str = "JTFS"
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        if self.order not in (1, 2):
            raise ValueError(f"order is {self.order!r}; it must be 1 or 2")
        if self.paths is not None and not (isinstance(self.paths, int) and self.paths >= 1):
            raise ValueError(f"paths is {self.paths!r}; it must be a whole number from 1 upwards, or None")
        if self.importance is not None:
            number, least, total = len(self.importance), min(self.importance, default=0), sum(self.importance)
            if number != self._number or least <= 0 or abs(total - 1) > 1e-6:
                raise ValueError(
                    f"importance has {number} numbers from {least} that add up to {total}; it must have "
                    f"{self._number}, one for each path, that are positive and add up to 1"
                )

    @property
    def _number(self) -> int:
        return len(self.transform.paths().order)

    def feature(self, audio: jax.Array) -> jax.Array:
        return self.transform(audio)

    def distance(self, a: jax.Array, b: jax.Array) -> jax.Array:
        check_shapes(a, b)
        return self._differences(a, b).mean()

    def _differences(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """`[paths]`, the mean of each."""
        return (absolute(a - b) if self.order == 1 else (a - b) ** 2).mean((1, 2))

    def estimate(self, a: jax.Array, audio: jax.Array, key: jax.Array) -> jax.Array:
        """An unbiased estimate of `distance(a, feature(audio))` from `paths` paths that `key` draws.

        `a [paths, rows, frames]` is the feature of the target. `ValueError` where `paths` is None. Under `vmap` use
        one key for the batch: paths that differ from sound to sound are all computed.
        """
        chosen, weight = self.drawn(key)
        return (weight * self._differences(a[chosen], self.transform.some(audio, chosen))).mean()

    def drawn(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The numbers `[k]` of `paths` paths that `key` draws, and their weights `[k]`: the mean of a value of theirs
        times the weight is, on average over keys, its mean over all paths. `ValueError` where `paths` is None."""
        if self.paths is None:
            raise ValueError("paths is None; an estimate needs a number of paths, as JTFS(paths=8)")
        every = self._number
        q = jnp.full(every, 1 / every) if self.importance is None else jnp.asarray(self.importance)
        chosen = jax.random.choice(key, every, (self.paths,), p=q)
        return chosen, 1 / (every * q[chosen])

    def weighted(self, a: jax.Array, b: jax.Array, uniform: float = 0.1) -> Self:
        """The same with `importance` from pairs of features `a`, `b` `[pairs, paths, rows, frames]`.

        The variance of an estimate is least where a path's probability is proportional to the root mean square of its
        differences; `uniform`, above 0 and at most 1, is the part that is shared alike, so that no path is left out.
        """
        if not 0 < uniform <= 1:
            raise ValueError(f"uniform is {uniform}; it must be above 0 and at most 1")
        size = np.sqrt(np.mean(np.square(np.asarray(jax.vmap(self._differences)(a, b), float)), axis=0))
        if not (size.sum() > 0 and np.isfinite(size).all()):
            raise ValueError("the pairs of features are equal, or not finite; they must differ in some path")
        q = (1 - uniform) * size / size.sum() + uniform / len(size)
        return replace(self, importance=tuple((q / q.sum()).tolist()))
