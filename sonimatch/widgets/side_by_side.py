"""Searches side by side: one target, one start under the hand, and a counter of evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import traitlets

from sonimatch.faust import FaustSynth
from sonimatch.landscape import Landscape
from sonimatch.plots import Figure
from sonimatch.search.race import Race, spread
from sonimatch.types import Loss
from sonimatch.widgets.element import Element, compact, in_the_cube, program, settings_text, start
from sonimatch.widgets.own_descent import DECAY, EPS, bilinear
from sonimatch.widgets.replay import check_grids, maps_figure

EVALUATIONS, SOLVED = 200, 0.05
COLORS = {"Race": "#D55E00", "RandomSearch": "#999999", "RMSProp": "#0072B2", "Adam": "#56B4E9"}
COSTS = {"Race": 1, "RandomSearch": 1, "RMSProp": 3, "Adam": 3}
RATE = 0.045


class SideBySide(Element):
    """A race, random search and two descents from one start, on the interpolated landscape of `loss`.

    `synth` has two parameters; `target` are physical values, what is not named stands at its default, and so in
    `begin`, the start. Each search has 200 evaluations, strictly counted: a value is one, a step of a descent three.
    A search returns the point of lowest value so far; it is solved when the P-loss of that is 0.05 or less. The race is
    that of `sonimatch.search`, the descents have its rules with a rate of 0.045 and the gradient clipped to 1.
    With a kernel `theta`, the start, and `evaluations`, the counter, follow the hand, and move it. Raises ValueError
    for another number of parameters and a landscape that does not fit. Shown in notebooks/search_that_solves.md.
    """

    shared = ("maps.js",)
    script = "side_by_side.js"
    evaluations = traitlets.Int(EVALUATIONS, min=1, max=EVALUATIONS).tag(sync=True)

    def __init__(
        self,
        synth: FaustSynth,
        loss: Loss,
        target: Mapping[str, float],
        surface: Landscape,
        *,
        begin: Mapping[str, float] | None = None,
    ) -> None:
        if len(synth.space) != 2:
            raise ValueError(f"a map has two parameters; {synth.name} has {len(synth.space)}")
        check_grids({loss.name: surface}, synth)
        self.synth, self.loss, self.surface = synth, loss, surface
        self.target = np.array(start(synth.space, target))
        self.draws = np.random.default_rng(0).random((EVALUATIONS - 1, 2)).astype(np.float32).astype(float)
        self._value, self._slope = (np.asarray(x, np.float32).astype(float) for x in (surface.value, surface.gradient))
        data = {
            "id": f"searches-{synth.name}",
            "program": program(synth),
            "loss": loss.name,
            "target": self.target.tolist(),
            "most": EVALUATIONS,
            "solved": SOLVED,
            "shape": np.shape(surface.value),
            "value": compact(self._value),
            "gradient": [compact(self._slope[..., i]) for i in (0, 1)],
            "searches": [{"name": name, "color": color, "cost": COSTS[name]} for name, color in COLORS.items()],
            "screen": compact(spread(np.zeros(2), Race().screen)[1:]),
            "draws": compact(self.draws),
        }
        super().__init__(data=data, theta=start(synth.space, begin or {}))

    @traitlets.validate("theta")
    def _valid_theta(self, proposal: Any) -> list[float]:
        return in_the_cube(self.synth.space, proposal["value"])

    def value(self, points: np.ndarray) -> np.ndarray:
        """The loss on the map at points `[n, 2]` of the unit square; infinite where it is not finite."""
        found = bilinear(self._value, *np.clip(points, 0, 1).T)
        return np.where(np.isfinite(found), found, np.inf)

    def paths(self) -> dict[str, np.ndarray]:
        """What the page computes: the points `[entries, 2]` that each search pays for, one after the other."""
        begin = np.array(self.theta)
        heard, asks = [], Race().asks(begin, np.random.default_rng(0))
        points = next(asks)
        while sum(map(len, heard)) < EVALUATIONS:
            heard.append(points)
            points = asks.send(self.value(points))
        return {
            "Race": np.concatenate(heard)[:EVALUATIONS],
            "RandomSearch": np.vstack([begin, self.draws]),
            "RMSProp": self._descend(begin, adam=False),
            "Adam": self._descend(begin, adam=True),
        }

    def _descend(self, theta: np.ndarray, adam: bool) -> np.ndarray:
        nu, first, second, path = 2 * theta - 1, np.zeros(2), np.zeros(2), [theta]
        for step in range(1, EVALUATIONS // 3):
            inside = np.clip((nu + 1) / 2, 0, 1)
            slope = np.where(np.abs(nu) <= 1, bilinear(self._slope, *inside[:, None])[0] / 2, 0.0)
            slope = slope if np.isfinite(slope).all() and np.isfinite(self.value(inside[None])[0]) else np.zeros(2)
            slope = slope / max(1.0, np.sqrt((slope**2).sum()))
            if adam:
                first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
                move = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + EPS)
            else:
                second = DECAY * second + (1 - DECAY) * slope**2
                move = slope / np.sqrt(second + EPS)
            nu = nu - RATE * move
            path.append((nu + 1) / 2)
        return np.stack(path)

    def found(self) -> dict[str, np.ndarray]:
        """The point `[2]` of lowest value of each search so far, inside the square."""
        paid = {name: max(1, self.evaluations // cost) for name, cost in COSTS.items()}
        heard = {name: np.clip(path[: paid[name]], 0, 1) for name, path in self.paths().items()}
        return {name: path[self.value(path).argmin()] for name, path in heard.items()}

    @property
    def audio(self) -> np.ndarray:
        """The sound at the start, `[num_samples]`."""
        return np.asarray(self.synth(np.array(self.theta, np.float32)))

    def figure(self) -> Figure:
        paths = self.paths()
        return maps_figure(self.synth, dict.fromkeys(paths, self.surface), self.target, paths)

    def sentence(self) -> str:
        off = {name: np.abs(point - self.target).mean() for name, point in self.found().items()}
        told = ", ".join(f"{name} {each:.3f}{' (solved)' if each <= SOLVED else ''}" for name, each in off.items())
        begin = f"{self.synth.name} under {self.loss.name} from {settings_text(self.synth.space, self.theta)}"
        paid = f"P-loss after {self.evaluations} evaluations: {told}"
        return f"{begin}; {paid}. With scripts start and counter are yours."
