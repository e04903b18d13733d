"""A race of simplexes: many points are looked at, a few walk, fewer go on, and the winner looks around once more."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

from sonimatch.search.nelder_mead import Simplex


@dataclass(frozen=True, kw_only=True)
class Race:
    """Screening by a Sobol sequence, races of simplexes from its best points, a scan along each axis, and polish.

    1. The start and, to make `screen` points, an unscrambled Sobol sequence without its origin; those of lowest value,
       at least `gap` apart in some parameter, start simplexes of `edge` (`Simplex`).
    2. `rounds`, each so many simplexes and so many steps: the best of them go on, one evaluation a step each.
    3. `scan` points along each axis through the best point. Those of lowest value, `gap` away from it, start simplexes
       that race with the winner over the rounds `rematch`: a parameter that was caught in a wrong valley while the
       others were right finds out.
    4. The winner walks until the budget is spent, ever smaller.

    Asks for values only: no gradient, any synth. Bounds hold at every point. Shown in notebooks/optimizer.md.
    """

    screen: int = 32
    rounds: tuple[tuple[int, int], ...] = ((3, 6), (2, 6), (1, 10))
    scan: int = 8
    rematch: tuple[tuple[int, int], ...] = ((4, 8), (2, 8))
    edge: float = 0.06
    gap: float = 0.1
    name: str = "Race"

    def cost(self, n_parameters: int) -> int:
        return 1

    def asks(self, start: np.ndarray, rng: np.random.Generator) -> Generator[np.ndarray, np.ndarray, None]:
        """Points `[k, P]` to look at, one batch after the other; it is sent their values `[k]`, and never ends."""
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # that so many are no power of two
            sobol = qmc.Sobol(start.size, scramble=False).random(self.screen)[1:]
        points = np.vstack([start, sobol])
        values = yield points
        first = self._apart(points, values, self.rounds[0][0])
        racers = [Simplex(points[i], values[i], self.edge) for i in first]
        racers = yield from self._race(racers, self.rounds)
        winner = racers[0]
        along = np.tile(winner.best, (start.size, self.scan, 1))
        along[np.arange(start.size), :, np.arange(start.size)] = (np.arange(self.scan) + 0.5) / self.scan
        points = along.reshape(-1, start.size)
        values = yield points
        away = np.abs(points - winner.best).max(1) >= self.gap
        points, values = points[away], values[away]
        others = self._apart(points, values, self.rematch[0][0] - 1)
        racers = [winner, *(Simplex(points[i], values[i], 0.7 * self.edge) for i in others)]
        racers = yield from self._race(racers, self.rematch)
        while True:
            racers = yield from self._race(racers, [(1, 1)])

    def _apart(self, points: np.ndarray, values: np.ndarray, count: int) -> list[int]:
        """The best points, as many as asked for, that are `gap` apart."""
        found: list[int] = []
        for i in np.argsort(values, kind="stable"):
            if len(found) < count and all(np.abs(points[i] - points[j]).max() >= self.gap for j in found):
                found.append(i)
        return found

    @staticmethod
    def _race(racers: list[Simplex], rounds: Sequence[tuple[int, int]]) -> Generator[np.ndarray, np.ndarray, list]:
        for count, steps in rounds:
            racers = sorted(racers, key=lambda racer: racer.value)[:count]
            for _ in range(steps):
                values = yield np.stack([racer.point for racer in racers])
                for racer, value in zip(racers, values, strict=True):
                    racer.tell(value)
        return sorted(racers, key=lambda racer: racer.value)
