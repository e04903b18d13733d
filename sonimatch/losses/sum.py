"""Several losses as one."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from sonimatch.types import Feature, Loss


@dataclass(frozen=True)
class Sum:
    """`L = sum_k (L_k - floor_k) / scale_k`: each of the `losses` above its floor, in units of its scale.

    A `floor` is the least that the loss can be, its value at equality, say (0 for each if none are given), and a
    `scale`, positive, its value for sounds that are unlike: then the terms count alike, whatever their units. A weight
    w is a scale of 1 / w. `feature` takes audio `[samples]` and gives the tuple of the features. `ValueError` for no
    losses, for scales or floors of another number, and for losses that take different sample rates. Shown in
    notebooks/losses.md.
    """

    losses: tuple[Loss, ...]
    scales: tuple[float, ...]
    floors: tuple[float, ...] = ()
    name: str = "Sum"

    def __post_init__(self) -> None:
        if not len(self.losses) == len(self.scales) == len(self.floors or self.losses) > 0:
            raise ValueError(f"{len(self.losses)} losses, {len(self.scales)} scales and {len(self.floors)} floors")
        if not min(self.scales) > 0:
            raise ValueError(f"scales are {self.scales}; they must be positive")
        if len(self._rates) > 1:
            raise ValueError(f"losses take sample rates of {', '.join(map(str, sorted(self._rates)))} Hz")

    @classmethod
    def scaled(cls, losses: tuple[Loss, ...], targets: jax.Array, candidates: jax.Array, name: str = "Sum") -> Sum:
        """The sum in which every loss counts alike over pairs of `targets` and `candidates`, `[samples]` or
        `[n, samples]`, with their floors.

        A floor is the least of all these values and of the targets' own, at equality, and a scale is the median above
        it. `ValueError` for a loss that has no median above its floor: it does not tell these sounds apart.
        """
        pairs = jnp.broadcast_arrays(jnp.atleast_2d(targets), jnp.atleast_2d(candidates))
        floors, scales = [], []
        for loss in losses:
            one, other = (jax.lax.map(jax.jit(loss.feature), sounds) for sounds in pairs)
            apart, equal = (np.asarray(jax.lax.map(lambda ab: loss.distance(*ab), (one, to))) for to in (other, one))  # noqa: B023
            floors.append(float(min(apart.min(), equal.min())))
            scales.append(float(np.median(apart)) - floors[-1])
        return cls(losses, tuple(scales), tuple(floors), name)

    @property
    def _rates(self) -> set[int]:
        return {loss.sample_rate for loss in self.losses if loss.sample_rate is not None}

    @property
    def sample_rate(self) -> int | None:
        return next(iter(self._rates), None)

    def feature(self, audio: jax.Array) -> Feature:
        return tuple(loss.feature(audio) for loss in self.losses)

    def distance(self, a: Feature, b: Feature) -> jax.Array:
        floors = self.floors or (0.0,) * len(self.losses)
        terms = zip(self.losses, self.scales, floors, a, b, strict=True)
        return sum(((loss.distance(x, y) - floor) / scale for loss, scale, floor, x, y in terms), jnp.zeros(()))
