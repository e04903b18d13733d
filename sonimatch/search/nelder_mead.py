"""Nelder and Mead's simplex: P + 1 points that walk, stretch and shrink, one evaluation at a time."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

_Walk = Generator[np.ndarray, float, None]


class Simplex:
    """A simplex in the unit cube around a point of known value; it asks for `point [P]`, and is told its value.

    Its other corners lie `edge` away along one axis each, inward at the walls. The worst corner is reflected, stretched
    or contracted, points are clipped to the cube, and where nothing helps all corners move towards the best (J. Nelder
    and R. Mead, "A simplex method for function minimization", 1965). The factors are theirs in one and two dimensions,
    and those of F. Gao and L. Han in more ("Implementing the Nelder-Mead simplex algorithm with adaptive parameters",
    2012): stretch 1 + 2/P, contract 3/4 - 1/(2P), shrink 1 - 1/P. A simplex smaller than `tolerance` is closed, and a
    new one of a quarter of the edge and a tenth of the tolerance starts around the best point.
    `best [P]` has the lowest value so far, `value`.
    Shown in notebooks/search_that_solves.md.
    """

    def __init__(self, start: np.ndarray, value: float, edge: float = 0.06, tolerance: float = 4e-3) -> None:
        self.best, self.value = np.asarray(start, float), value
        self._asking = self._walks(edge, tolerance)
        self.point = next(self._asking)

    def tell(self, value: float) -> None:
        if value < self.value:
            self.best, self.value = self.point, value
        self.point = self._asking.send(value)

    def _walks(self, edge: float, tolerance: float) -> _Walk:
        while True:
            yield from self._walk(edge, tolerance)
            edge, tolerance = max(edge / 4, 1e-4), tolerance / 10

    def _walk(self, edge: float, tolerance: float) -> _Walk:
        size = self.best.size
        among = max(size, 2)
        stretch, contract, shrink = 1 + 2 / among, 0.75 - 0.5 / among, 1 - 1 / among
        points = np.tile(self.best, (size + 1, 1))
        points[1:] += np.diag(np.where(self.best + edge <= 1, edge, -edge))
        values = np.full(size + 1, self.value)
        for corner in range(1, size + 1):
            values[corner] = yield points[corner]
        while np.ptp(points, axis=0).max() >= tolerance:
            order = np.argsort(values, kind="stable")
            points, values = points[order], values[order]
            centre = points[:-1].mean(0)
            away = centre - points[-1]
            reflected = np.clip(centre + away, 0, 1)
            value = yield reflected
            if value < values[0]:
                stretched = np.clip(centre + stretch * away, 0, 1)
                further = yield stretched
                points[-1], values[-1] = (stretched, further) if further < value else (reflected, value)
            elif value < values[-2]:
                points[-1], values[-1] = reflected, value
            else:
                contracted = centre + contract * (reflected - centre if value < values[-1] else -away)
                nearer = yield contracted
                if nearer < min(value, values[-1]):
                    points[-1], values[-1] = contracted, nearer
                else:
                    for corner in range(1, size + 1):
                        points[corner] = (1 - shrink) * points[0] + shrink * points[corner]
                        values[corner] = yield points[corner]
