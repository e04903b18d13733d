"""The metric of a feature over two parameters, under the hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from sonimatch.faust import FaustSynth
from sonimatch.learn import eigen
from sonimatch.plots import Figure, ellipses
from sonimatch.widgets.element import compact, program, settings_text
from sonimatch.widgets.landscape_scrubber import LandscapeElement, colors, point_of

SIZE = 0.05  # of the square: half an axis of a middling ellipse


class MetricMap(NamedTuple):
    """What a feature makes of a map of `n` by `n` points: the metric `M [n, n, P, P]`; the long and the short axis of
    the ellipses of the two parameters, unit vectors in the rows of `axes [n, n, 2, 2]`; and the `distance [n, n, 2]` of
    the feature between a point and what lies a step away along either."""

    M: ArrayLike
    axes: ArrayLike
    distance: ArrayLike


class MetricExplorer(LandscapeElement):
    """Ellipses of what is equally far over two parameters of `synth`, one for each feature, and one point on all maps.

    At the point: the ellipse `δᵀ (M + λI) δ = r²` of the two parameters, the others held, its eigenvalues and the ratio
    of its axes, and how far the sound goes in a `step` of the unit square along the long and along the short one; all
    three settings sound. λ goes from 0 to the largest eigenvalue of the map. `r` is that of a feature: half an axis of
    its middling ellipse is 0.05 of the square.

    `theta [n, n, P]`, in the unit cube, are the points of the `maps`, on even steps of one parameter along the first
    axis and of another one along the second; the point stands on one of them, so that every number shown is a computed
    one. It begins at `begin [P]`, by default in the middle.

    With a kernel `theta` and `value`, the ratio of the axes without λ, follow the hand, and `theta` moves it.
    Raises ValueError for maps that do not fit or are not finite, and for points of another order. Shown in
    notebooks/geometry_of_a_synthesizer.md.
    """

    script = "metric_explorer.js"

    def __init__(
        self,
        synth: FaustSynth,
        maps: Mapping[str, MetricMap],
        theta: ArrayLike,
        step: float = 0.1,
        *,
        begin: ArrayLike | None = None,
    ) -> None:
        names, points = synth.space.names, np.asarray(theta, float)
        self._at, self._grid = _axes_of(points, names)
        num, self.maps = len(points), {name: MetricMap(*map(np.asarray, each)) for name, each in maps.items()}
        for name, each in self.maps.items():
            wanted = (num, num, len(names), len(names)), (num, num, 2, 2), (num, num, 2)
            if (shapes := tuple(np.shape(array) for array in each)) != wanted:
                raise ValueError(f"the map of {name} has arrays of shape {shapes}; they must be {wanted}")
            if not all(np.isfinite(array).all() for array in each):
                raise ValueError(f"the map of {name} has values that are not finite")
        if not self.maps:
            raise ValueError("maps must be one or more, not none")
        block = np.ix_(*[range(num)] * 2, self._at, self._at)
        self.blocks = {name: np.asarray(each.M)[block] for name, each in self.maps.items()}
        self.values = {name: np.maximum(eigen(M).values, 0) for name, M in self.blocks.items()}
        self.radius = {name: SIZE * float(np.median(each.prod(-1)) ** 0.25) for name, each in self.values.items()}
        free = [names[i] for i in self._at]
        start = point_of(synth, free, None, points[num // 2, num // 2] if begin is None else begin)
        rest = [self._computed(x) if i in self._at else float(points[0, 0, i]) for i, x in enumerate(start)]
        data: dict[str, Any] = {
            "id": f"metric-{synth.name}",
            "program": program(synth),
            "parameters": self._at,
            "grid": self._grid.tolist(),
            "step": step,
            "maps": [
                {
                    "name": name,
                    "color": color,
                    "radius": self.radius[name],
                    "M": compact(self.blocks[name][..., [0, 0, 1], [0, 1, 1]]),
                    "axes": compact(self.maps[name].axes),
                    "distance": compact(self.maps[name].distance),
                }
                for name, color in colors(self.maps).items()
            ],
        }
        super().__init__(synth, free, rest, data=data)

    def _computed(self, x: float) -> float:
        return float(self._grid[np.abs(self._grid - x).argmin()])

    def _place(self) -> tuple[int, ...]:
        return tuple(int(np.abs(self._grid - self.theta[i]).argmin()) for i in self._at)

    def _values(self) -> dict[str, float]:
        here = {name: values[self._place()] for name, values in self.values.items()}
        return {name: float(np.sqrt(high / max(low, 1e-12 * high))) for name, (low, high) in here.items()}

    def sentence(self) -> str:
        setting = settings_text(self.synth.space, self.theta)
        ratios = ", ".join(f"{ratio:.3g} to 1 for {name}" for name, ratio in self.value.items())
        return f"{self.synth.name} at {setting}: the axes are {ratios}; with scripts, the point moves and sounds."

    def figure(self) -> Figure:
        figure = Figure(figsize=(max(3.2, 2.9 * len(self.maps)), 3.1), layout="constrained")
        grid = self._grid[::2]
        points = np.tile(np.array(self.theta), (len(grid), len(grid), 1))
        points[..., self._at] = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1)
        panels = figure.subplots(1, len(self.maps), squeeze=False)[0]
        for panel, (name, color) in zip(panels, colors(self.maps).items(), strict=True):
            M = np.asarray(self.maps[name].M)[::2, ::2]
            ellipses(panel, self.synth.space, self.free, points, M, self.radius[name], color)
            panel.set_title(name, fontsize=9)
        return figure


def _axes_of(theta: np.ndarray, names: tuple[str, ...]) -> tuple[list[int], np.ndarray]:
    """Which parameter moves along the first axis of the points, and which along the second, on what steps."""
    if theta.ndim == 3 and theta.shape[0] == theta.shape[1] > 1 and theta.shape[2] == len(names):
        for i in range(len(names)):
            for j in set(range(len(names))) - {i}:
                square, grid = np.repeat(theta[:1, :1], len(theta), 0).repeat(len(theta), 1), theta[:, 0, i]
                square[..., i], square[..., j] = np.meshgrid(grid, grid, indexing="ij")
                if np.allclose(square, theta, atol=1e-6) and np.ptp(grid) > 0 and np.ptp(np.diff(grid)) < 1e-6:
                    return [i, j], grid
    raise ValueError(f"theta {np.shape(theta)} must be n x n points with even steps of two of {', '.join(names)}")
