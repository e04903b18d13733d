"""A descent of one's own: click a start, choose a rule, and see which losses lead to the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import traitlets
from numpy.typing import ArrayLike

from sonimatch.faust import FaustSynth
from sonimatch.landscape import Landscape, landscape
from sonimatch.plots import Figure
from sonimatch.types import Loss
from sonimatch.widgets.element import Element, compact, in_the_cube, program, settings_text, start
from sonimatch.widgets.landscape_scrubber import check_losses, colors
from sonimatch.widgets.replay import check_grids, maps_figure

RULES = ("GradientDescent", "RMSProp")
STEPS, STARTS, ARRIVED = 200, 30, 0.05
DECAY, EPS = 0.9, 1e-8


def bilinear(grid: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """`grid [nx, ny, ...]` on even steps of the unit square, at the points `u [n]`, `v [n]` inside it: `[n, ...]`."""
    x, y = u * (grid.shape[0] - 1), v * (grid.shape[1] - 1)
    i, j = (np.minimum(each.astype(int), size - 2) for each, size in zip((x, y), grid.shape, strict=False))
    s, t = ((each - k).reshape(-1, *[1] * (grid.ndim - 2)) for each, k in ((x, i), (y, j)))
    near, far = (1 - t) * grid[i, j] + t * grid[i, j + 1], (1 - t) * grid[i + 1, j] + t * grid[i + 1, j + 1]
    return (1 - s) * near + s * far


class OwnDescent(Element):
    """Gradient descent or RMSProp from a start under the hand, on the losses' interpolated landscapes.

    `synth` has two parameters; `target` are physical values, what is not named stands at its default, and so in
    `begin`, the start. `landscapes` by the names of `losses` are used where given; the others are computed with `num`
    points a side. The gradient at the grid points is interpolated bilinearly for the descent, the value for the eye.
    The rules are those of `sonimatch.search`: 200 updates in coordinates from -1 to 1 with the gradient clipped to
    `clip_norm` (None: not), zero in a parameter that is out of range, RMSProp with decay 0.9 and ε = 1e-8, and
    `momentum` m as in optax: each move adds m times the one before. With `bounded` no parameter leaves its range. A
    search has arrived when the P-loss of its last point is 0.05 or less.
    With a kernel `theta`, the start, and the settings follow the hand, and move it. Raises ValueError for another
    number of parameters, landscapes that do not fit, and what `landscape` raises. Shown in notebooks/landscapes_2d.md.
    """

    shared = ("maps.js",)
    script = "own_descent.js"
    rule = traitlets.Enum(RULES, "RMSProp").tag(sync=True)
    learning_rate = traitlets.Float(0.045, min=0.001, max=0.5).tag(sync=True)
    clip_norm = traitlets.Float(1.0, min=0.01, max=10.0, allow_none=True).tag(sync=True)
    momentum = traitlets.Float(0.0, min=0.0, max=0.99).tag(sync=True)
    bounded = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        synth: FaustSynth,
        losses: Sequence[Loss],
        target: Mapping[str, float],
        landscapes: Mapping[str, Landscape] | None = None,
        num: int = 25,
        *,
        begin: Mapping[str, float] | None = None,
        progress: bool = True,
    ) -> None:
        if len(synth.space) != 2:
            raise ValueError(f"a map has two parameters; {synth.name} has {len(synth.space)}")
        check_losses(synth, losses)
        names = [loss.name for loss in losses]
        if unknown := [name for name in landscapes or {} if name not in names]:
            raise ValueError(f"a landscape for {unknown[0]!r}, which is no loss (there are: {', '.join(names)})")
        self.synth, self.target = synth, np.array(start(synth.space, target))
        self.landscapes, sound = dict(landscapes or {}), None
        for loss in losses:
            if loss.name not in self.landscapes:
                sound = synth(jnp.asarray(self.target, jnp.float32)) if sound is None else sound
                self.landscapes[loss.name] = landscape(synth, loss, sound, num=num, progress=progress)
        self.landscapes = {name: self.landscapes[name] for name in names}
        check_grids(self.landscapes, synth)
        self.starts = np.asarray(synth.space.sample(jax.random.key(0), STARTS), float)
        data = {
            "id": f"descent-{synth.name}",
            "program": program(synth),
            "target": self.target.tolist(),
            "steps": STEPS,
            "starts": compact(self.starts),
            "arrived": ARRIVED,
            "losses": [
                {"name": name, "color": color, "shape": np.shape(surface.value), "value": compact(surface.value)}
                | {"gradient": [compact(surface.gradient[..., i]) for i in (0, 1)]}
                for (name, surface), color in zip(self.landscapes.items(), colors(names).values(), strict=True)
            ],
        }
        super().__init__(data=data, theta=start(synth.space, begin or {}))

    @traitlets.validate("theta")
    def _valid_theta(self, proposal: Any) -> list[float]:
        return in_the_cube(self.synth.space, proposal["value"])

    def paths(self, starts: ArrayLike | None = None) -> dict[str, np.ndarray]:
        """What the page computes, for each loss: the paths `[n, 201, 2]` in the cube from `starts [n, 2]`.

        The default is `theta`, and a path `[201, 2]` without the leading axis.
        """
        begin = np.atleast_2d(np.array(self.theta if starts is None else starts, float))
        found = {name: self._descend(surface, begin) for name, surface in self.landscapes.items()}
        return {name: path[0] for name, path in found.items()} if starts is None else found

    def arrived(self, starts: ArrayLike | None = None) -> dict[str, np.ndarray]:
        """Whether the paths arrive, for each loss: `[n]`, or a single truth without `starts`."""
        ends = {name: path[..., -1, :] for name, path in self.paths(starts).items()}
        return {name: np.abs(end - self.target).mean(-1) <= ARRIVED for name, end in ends.items()}

    def _descend(self, surface: Landscape, theta: np.ndarray) -> np.ndarray:
        value, slope = (np.asarray(each, np.float32).astype(float) for each in (surface.value, surface.gradient))
        nu, mean, move, path = 2 * theta - 1, np.zeros_like(theta), np.zeros_like(theta), [theta]
        for _ in range(STEPS):
            theta = (nu + 1) / 2
            inside = np.clip(theta, 0, 1)
            gradient = np.where(inside == theta, bilinear(slope, *inside.T) / 2, 0.0)
            known = np.isfinite(bilinear(value, *inside.T)) & np.isfinite(gradient).all(1)
            gradient = np.where(known[:, None], gradient, 0.0)
            if self.clip_norm is not None:
                gradient = gradient / np.maximum(1, np.sqrt((gradient**2).sum(1)) / self.clip_norm)[:, None]
            if self.rule == "RMSProp":
                mean = DECAY * mean + (1 - DECAY) * gradient**2
                gradient = gradient / np.sqrt(mean + EPS)
            move = gradient + self.momentum * move
            nu = nu - self.learning_rate * move
            nu = np.clip(nu, -1, 1) if self.bounded else nu
            path.append((nu + 1) / 2)
        return np.stack(path, 1)

    @property
    def audio(self) -> np.ndarray:
        """The sound at the start, `[num_samples]`."""
        return np.asarray(self.synth(np.array(self.theta, np.float32)))

    def figure(self) -> Figure:
        return maps_figure(self.synth, self.landscapes, self.target, self.paths())

    def sentence(self) -> str:
        arrived = self.arrived()
        outcome = ", ".join(f"{name} {'arrives' if arrived[name] else 'does not arrive'}" for name in arrived)
        return (
            f"{self.rule} on {self.synth.name} from {settings_text(self.synth.space, self.theta)} towards "
            f"{settings_text(self.synth.space, self.target)}: {outcome}. With scripts, start and settings are yours."
        )
