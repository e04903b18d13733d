"""What the evolution strategies share: populations of a normal distribution that learns where values are low."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sonimatch.search.race import spread


@dataclass(frozen=True, kw_only=True)
class Evolution:
    """Generations of an evolution strategy of the package `evosax`, which has to be installed (`sonimatch[evolution]`).

    The start, or the best of `screen` points, the start and a Sobol sequence (1: the start alone), is the first mean,
    and `std` the first standard deviation in each parameter, as a share of its range. A generation has `population`
    points (None: `4 + floor(3 ln P)`, the rule of N. Hansen, "The CMA evolution strategy: a tutorial"). A point outside
    the cube is reflected at its walls: the strategy sees the loss continued by its mirror images, and every point that
    is looked at lies inside. What is not finite counts as worse than all of its generation. When the standard deviation
    of every parameter is below `tolerance`, a new strategy begins at a point drawn uniformly, as long as it is asked.

    Asks for values only. `population` is 2 or more, `std` and `tolerance` are positive, `screen` is 1 or more; else
    `ValueError`. Without evosax `ModuleNotFoundError`.
    """

    population: int | None = None
    std: float = 0.3
    screen: int = 1
    tolerance: float = 1e-3
    name: str

    def __post_init__(self) -> None:
        if self.population is not None and not self.population >= 2:
            raise ValueError(f"population is {self.population}; it must be at least 2, or None")
        for setting in ("std", "tolerance"):
            if not getattr(self, setting) > 0:
                raise ValueError(f"{setting} is {getattr(self, setting)}; it must be positive")
        if not self.screen >= 1:
            raise ValueError(f"screen is {self.screen}; it must be at least 1")

    @property
    def algorithm(self) -> str:
        """What evosax calls it."""
        raise NotImplementedError

    def deviation(self, state: Any) -> np.ndarray:
        """The standard deviation of each parameter `[P]`, of a state of the algorithm."""
        raise NotImplementedError

    def cost(self, n_parameters: int) -> int:
        return 1

    def asks(self, start: np.ndarray, rng: np.random.Generator) -> Generator[np.ndarray, np.ndarray, None]:
        """Points `[k, P]` to look at, one batch after the other; it is sent their values `[k]`, and never ends."""
        points = spread(start, self.screen)
        values = yield points
        mean, size = points[values.argmin()], self.population or 4 + int(3 * np.log(start.size))
        strategy, settings = _strategy(self.algorithm, size, start.size, self.std)
        while True:
            key = jax.random.key(rng.integers(2**31))
            state = strategy.init(key, jnp.asarray(mean, jnp.float32), settings)
            state = jax.tree.map(np.asarray, state)  # of the types that the next states have, or all is compiled twice
            while np.max(self.deviation(state)) >= self.tolerance:
                key, ask, tell = jax.random.split(key, 3)
                points, state = strategy.ask(ask, state, settings)
                values = yield np.abs((np.asarray(points) + 1) % 2 - 1)
                finite = np.isfinite(values)
                if finite.any():
                    known = values[finite]
                    values = np.where(finite, values, known.max() + (np.ptp(known) or 1.0))
                    state, _ = strategy.tell(tell, points, jnp.asarray(values, jnp.float32), state, settings)
            mean = rng.random(start.size)


@lru_cache
def _strategy(algorithm: str, size: int, n_parameters: int, std: float) -> tuple[Any, Any]:
    """One object, with its settings, for all trials: evosax compiles for each anew."""
    try:
        from evosax import algorithms
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"evolution strategies need the package evosax ({error}): pip install 'sonimatch[evolution]'",
            name=error.name,
        ) from None
    strategy = getattr(algorithms, algorithm)(population_size=size, solution=jnp.zeros(n_parameters))
    return strategy, jax.jit(lambda: strategy.default_params)().replace(std_init=std)
