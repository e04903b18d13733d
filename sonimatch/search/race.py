"""A race of simplexes: many points are looked at, a few walk, fewer go on, and the winner looks around once more."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from sonimatch.search.nelder_mead import Simplex


def spread(start: np.ndarray, count: int) -> np.ndarray:
    """`start [P]` and the points of an unscrambled Sobol sequence behind its origin, `[count, P]`."""
    from scipy.stats import qmc  # takes as long to load as JAX

    return np.vstack([start, qmc.Sobol(start.size, scramble=False).random_base2((count - 1).bit_length())[1:count]])


def apart(points: np.ndarray, values: np.ndarray, count: int, gap: float) -> list[int]:
    """Which of the points `[k, P]` are best by their values `[k]`, as many as asked for, at least `gap` apart."""
    found: list[int] = []
    for i in np.argsort(values, kind="stable"):
        if len(found) < count and all(np.abs(points[i] - points[j]).max() >= gap for j in found):
            found.append(i)
    return found


@dataclass(frozen=True, kw_only=True)
class Race:
    """Screening by a Sobol sequence, races of simplexes from its best points, and scans along each axis with a rematch.

    1. The start and, to make `screen` points, an unscrambled Sobol sequence without its origin; those of lowest value,
       at least `gap` apart in some parameter, start simplexes of `edge` (`Simplex`).
    2. `rounds`, each so many simplexes and so many steps: the best of them go on, one evaluation a step each.
    3. For each of the `scans`, `(points, width)`: so many points along each axis through the best point, over this part
       of the range around it. Those of lowest value, a space of the scan apart, start simplexes that race with the
       winner over the rounds `rematch`: a parameter that was caught in a wrong valley while the others were right finds
       out.
    4. The winner walks `polish` steps, or in proportion where there are more than two parameters, and the scans begin
       again, for as long as it is asked.

    Asks for values only: no gradient, any synth. Bounds hold at every point. Numbers are 1 or more, a width is above 0
    and at most 1, `edge` above 0 and at most 0.5, `gap` 0 or more; else `ValueError`.
    Shown in notebooks/search_that_solves.md.
    """

    screen: int = 32
    rounds: tuple[tuple[int, int], ...] = ((3, 5), (2, 5), (1, 6))
    scans: tuple[tuple[int, float], ...] = ((16, 1.0), (8, 0.2))
    rematch: tuple[tuple[int, int], ...] = ((3, 5), (2, 5))
    polish: int = 20
    edge: float = 0.06
    gap: float = 0.1
    name: str = "Race"

    def __post_init__(self) -> None:
        for setting in ("screen", "polish"):
            if not getattr(self, setting) >= 1:
                raise ValueError(f"{setting} is {getattr(self, setting)}; it must be at least 1")
        for setting in ("rounds", "rematch"):
            found = getattr(self, setting)
            if not found or not all(number >= 1 for pair in found for number in pair):
                raise ValueError(f"{setting} is {found}; it must have pairs of simplexes and steps, from 1 on")
        if not all(count >= 1 and 0 < width <= 1 for count, width in self.scans):
            raise ValueError(f"scans is {self.scans}; it must have pairs of a number from 1 on and a width from 0 to 1")
        if not (0 < self.edge <= 0.5 and self.gap >= 0):
            raise ValueError(f"edge is {self.edge}, gap {self.gap}; they must be from 0 to 0.5, and 0 or more")

    def cost(self, n_parameters: int) -> int:
        return 1

    def asks(self, start: np.ndarray, rng: np.random.Generator) -> Generator[np.ndarray, np.ndarray, None]:
        """Points `[k, P]` to look at, one batch after the other; it is sent their values `[k]`, and never ends."""
        points = self._screened(start)
        values = yield points
        first = apart(points, values, self.rounds[0][0], self.gap)
        racers = yield from self._race([Simplex(points[i], values[i], self.edge) for i in first], self.rounds)
        while True:
            for count, width in self.scans:
                winner, space = racers[0], width / count
                places = (np.arange(count) + 0.5) * space - (0.0 if width == 1 else width / 2)
                axes = np.repeat(np.arange(start.size), count)
                points = np.tile(winner.best, (axes.size, 1))
                points[np.arange(axes.size), axes] = np.tile(places, start.size) + (width < 1) * winner.best[axes]
                points = points[((points >= 0) & (points <= 1)).all(1)]
                values = yield points
                away = np.abs(points - winner.best).max(1) >= space / 2
                points, values = points[away], values[away]
                others = apart(points, values, self.rematch[0][0] - 1, space)
                edge = min(0.7 * self.edge, space / 2)
                racers = [winner, *(Simplex(points[i], values[i], edge) for i in others)]
                racers = yield from self._race(racers, self.rematch)
            racers = yield from self._race(racers, [(1, self.polish * max(start.size, 2) // 2)])

    def _screened(self, start: np.ndarray) -> np.ndarray:
        return spread(start, self.screen)

    @staticmethod
    def _race(racers: list[Simplex], rounds: Sequence[tuple[int, int]]) -> Generator[np.ndarray, np.ndarray, list]:
        for count, steps in rounds:
            racers = sorted(racers, key=lambda racer: racer.value)[:count]
            for _ in range(steps):
                values = yield np.stack([racer.point for racer in racers])
                for racer, value in zip(racers, values, strict=True):
                    racer.tell(value)
        return sorted(racers, key=lambda racer: racer.value)
