"""A race that begins where something is known: at given points in place of a screening."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sonimatch.search.race import Race, spread


@dataclass(frozen=True, kw_only=True)
class RaceFrom(Race):
    """The race of `Race` with `points` `[k, P]` behind the start, and `screen - 1` of a Sobol sequence behind them.

    Smaller simplexes, closer together, than where nothing is known. Coordinates lie from 0 to 1, else `ValueError`.
    Shown in notebooks/search_that_solves.md.
    """

    points: tuple[tuple[float, ...], ...] = ()
    screen: int = 1
    rounds: tuple[tuple[int, int], ...] = ((2, 4), (1, 12))
    edge: float = 0.02
    gap: float = 0.03
    name: str = "RaceFrom"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(0 <= coordinate <= 1 for point in self.points for coordinate in point):
            raise ValueError(f"points are {self.points}; each coordinate must be from 0 to 1")

    def _screened(self, start: np.ndarray) -> np.ndarray:
        return np.vstack([start, *map(np.array, self.points), spread(start, self.screen)[1:]])
