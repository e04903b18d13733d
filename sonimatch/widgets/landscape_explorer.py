"""Loss landscapes of two parameters under the hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from sonimatch.faust import FaustSynth
from sonimatch.landscape import Landscape, landscape
from sonimatch.losses import PAPER_LOSSES
from sonimatch.plots import Figure, heatmaps_figure
from sonimatch.types import Loss
from sonimatch.widgets.element import compact, program
from sonimatch.widgets.landscape_scrubber import (
    LandscapeElement,
    aim_of,
    check_losses,
    colors,
    label,
    point_of,
)


class LandscapeExplorer(LandscapeElement):
    """The losses over two parameters of `synth`: one as a large map, all as small ones, and one point on all of them.

    At the point: the value and the gradient of every loss, per unit of the cube, the angle between downhill and the
    way to the target (where the slope is more than rounding), and the sound. The maps have `num` even steps along each
    parameter, and the point stands on one of them, so that every number shown is a computed one.

    `target`: physical values (default: those of the program), or audio `[num_samples]`, for a live kernel only.
    `parameters` names two (default: both). `theta [P]`, in the unit cube, is where the point begins and where the
    other parameters stay (default: the target's, with the point at the defaults of the program).
    `landscapes`, `{name of a loss: Landscape}` over the same square, spares the computation; then they are what is
    shown, and the other parameters stay where they have them.

    With a kernel `theta`, in the unit cube, and `value` follow the hand, and `theta` moves it, to the nearest step.
    Raises ValueError unless two parameters are free, for losses that share a name or work at another sample rate, and
    for a target or landscapes that do not fit. Shown in notebooks/landscapes_2d.md.
    """

    script = "landscape_explorer.js"

    def __init__(
        self,
        synth: FaustSynth,
        losses: Sequence[Loss] = PAPER_LOSSES,
        target: Mapping[str, float] | ArrayLike | None = None,
        num: int = 25,
        landscapes: Mapping[str, Landscape] | None = None,
        *,
        parameters: Sequence[str] | None = None,
        theta: ArrayLike | None = None,
        progress: bool = True,
    ) -> None:
        names = synth.space.names
        free = names if parameters is None else tuple(parameters)
        if unknown := [name for name in free if name not in names]:
            raise ValueError(f"{synth.name} has no parameter {unknown[0]!r} (there are: {', '.join(names)})")
        if len(free) != 2 or len(set(free)) != 2:
            raise ValueError(
                f"the explorer moves two parameters; here {len(free)} are free: {', '.join(free)} "
                f"(name two of {', '.join(names)} as `parameters`)"
            )
        aim, sound = aim_of(synth, target)
        begin = point_of(synth, free, aim, theta)
        self._at = [names.index(name) for name in free]
        if landscapes is None:
            check_losses(synth, losses)
            heard = synth(np.array(aim, np.float32)) if sound is None else jnp.asarray(sound)
            settings: dict[str, Any] = {"parameters": free, "num": num, "theta": np.array(begin), "progress": progress}
            landscapes = {loss.name: landscape(synth, loss, heard, **settings) for loss in losses}
        self.landscapes = dict(landscapes)
        num, begin = self._check(names, begin)
        data: dict[str, Any] = {
            "id": f"explore-{synth.name}",
            "program": program(synth, sound),
            "parameters": self._at,
            "num": num,
            "target": aim or [],
            "losses": [
                {
                    "name": name,
                    "color": color,
                    "value": compact(self.landscapes[name].value),
                    "gradient": [compact(self.landscapes[name].gradient[..., i]) for i in self._at],
                }
                for name, color in colors(self.landscapes).items()
            ],
        }
        if sound is not None:
            data["audio"] = compact(sound)
        super().__init__(synth, free, begin, data=data)

    def _check(self, names: Sequence[str], begin: list[float]) -> tuple[int, list[float]]:
        """The steps of the landscapes, which must agree, and the point with the other parameters where they are."""
        if not self.landscapes:
            raise ValueError("landscapes must be one or more, not none")
        first = np.asarray(next(iter(self.landscapes.values())).theta)
        num, corner = len(first), first.reshape(-1, first.shape[-1])[0]
        rest = [float(corner[i]) if i not in self._at and i < len(corner) else x for i, x in enumerate(begin)]
        square = np.tile(np.array(rest, np.float32), (num, num, 1))
        square[..., self._at] = np.stack(np.meshgrid(*[np.linspace(0, 1, num)] * 2, indexing="ij"), -1)
        for name, each in self.landscapes.items():
            shapes = np.shape(each.theta), np.shape(each.value), np.shape(each.gradient)
            if shapes != (square.shape, square.shape[:2], square.shape) or not np.allclose(each.theta, square):
                axes = ", ".join(names[i] for i in self._at)
                raise ValueError(
                    f"the landscape of {name} has {' x '.join(map(str, shapes[1]))} points; all must have the same "
                    f"even steps from 0 to 1 along {axes}, in that order"
                )
        return num, rest

    def _computed(self, x: float) -> float:
        last = self.data["num"] - 1
        return int(x * last + 0.5) / last

    def _values(self) -> dict[str, float]:
        i, j = (round(self.theta[at] * (self.data["num"] - 1)) for at in self._at)
        return {name: float(np.asarray(each.value)[i, j]) for name, each in self.landscapes.items()}

    def figure(self) -> Figure:
        space = self.synth.space
        corners = np.tile(np.linspace(0, 1, self.data["num"])[:, None], len(space))
        steps = np.asarray(space.to_physical(corners))[:, self._at].T
        x, y = ((label(space, name), values) for name, values in zip(self.free, steps, strict=True))
        target = None
        if self.data["target"]:
            aim = space.to_physical(np.array(self.data["target"]))
            target = float(aim[self._at[0]]), float(aim[self._at[1]])
        return heatmaps_figure({name: each.value for name, each in self.landscapes.items()}, x, y, target)
