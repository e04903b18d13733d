"""Random search: no gradient, no memory; what every other search has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from sonimatch.types import Objective, Trajectory


@dataclass(frozen=True)
class RandomSearch:
    """The start, and then one uniform draw from the unit cube after another, each from the key of its step.

    `grad_norm` is 0. The best point of `n` has a volume of about `1 / (n + 1)` of better points around it where the
    loss orders points by their distance from the target. Shown in notebooks/experiment.md.
    """

    name: str = "RandomSearch"

    def cost(self, n_parameters: int) -> int:
        return 1

    def init(self, theta: jax.Array, key: jax.Array) -> Any:
        return theta

    def step(self, state: Any, objective: Objective, key: jax.Array) -> tuple[Any, Trajectory]:
        value = objective(state)
        return jax.random.uniform(key, state.shape, state.dtype), Trajectory(state, value, jnp.zeros_like(value))
