"""A loss landscape of one parameter under the hand, and what it shares with that of two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import cycle
from operator import itemgetter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import traitlets
from numpy.typing import ArrayLike
from tqdm import tqdm

from sonimatch.faust import FaustSynth
from sonimatch.losses import PAPER_LOSSES
from sonimatch.plots import COLORS, Figure, landscape_figure
from sonimatch.space import ParamSpace
from sonimatch.types import Feature, Loss
from sonimatch.widgets.element import Element, compact, in_the_cube, program, settings_text, start

BESIDE = 1e-3  # of the range: how far from a target the losses are known on both sides of it, where many have a corner
_OTHERS = ("#E69F00", "#56B4E9", "#8A8A8A")  # for losses that `plots.COLORS` does not know


class LandscapeElement(Element):
    """A point on the landscapes of several losses, and the sound there.

    `theta`, in the unit cube, follows the hand and moves it; only the coordinates of `free` may change, and they go to
    the nearest setting at which the losses are computed: between two of them a gradient may do anything. `value` is
    each loss there, `{name: float}`.
    """

    shared = ("maps.js",)
    free: tuple[str, ...]
    value = traitlets.Dict()

    def __init__(self, synth: FaustSynth, free: Sequence[str], theta: Sequence[float], **traits: Any) -> None:
        self.synth, self.free = synth, tuple(free)
        self._rest = list(theta)
        super().__init__(theta=list(theta), **traits)

    @property
    def audio(self) -> np.ndarray:
        """The sound at the point, `[num_samples]`."""
        return np.asarray(self.synth(np.array(self.theta, np.float32)))

    def set(self, **values: float) -> None:
        """Move to physical values of free parameters, or the nearest that are computed; what is not named stays.

        Raises ValueError for a parameter that is not free and for a value out of range.
        """
        if fixed := [name for name in values if name not in self.free]:
            raise ValueError(f"{fixed[0]!r} does not move here (what does: {', '.join(self.free)})")
        space = self.synth.space
        both = zip(space.names, start(space, values), list(self.theta), strict=True)
        self.theta = [wanted if name in values else here for name, wanted, here in both]

    @traitlets.validate("theta")
    def _on_the_landscape(self, proposal: Any) -> list[float]:
        theta = in_the_cube(self.synth.space, proposal["value"])
        for name, here, rest in zip(self.synth.space.names, theta, self._rest, strict=True):
            if name not in self.free and here != rest:
                raise ValueError(f"{name} stays at {rest:g}, not {here:g} (what moves: {', '.join(self.free)})")
        names = self.synth.space.names
        return [self._computed(x) if name in self.free else x for name, x in zip(names, theta, strict=True)]

    def _computed(self, x: float) -> float:
        """The nearest coordinate at which the losses are known."""
        raise NotImplementedError

    @traitlets.observe("theta")
    def _look(self, _: Any) -> None:
        self.value = self._values()

    def _values(self) -> dict[str, float]:
        raise NotImplementedError

    def sentence(self) -> str:
        setting = settings_text(self.synth.space, self.theta)
        values = ", ".join(f"{name} {value:.4g}" for name, value in self.value.items())
        return f"{self.synth.name} at {setting}: {values}; with scripts, the point moves and sounds."


class LandscapeScrubber(LandscapeElement):
    """The losses over one parameter of `synth`, a handle that moves along them, and a target that moves too.

    At the handle: the value and the gradient of every loss, per unit of the cube, which way is downhill (where the
    slope is more than rounding), and the sound. The losses are computed at `num` even steps, where the target and the
    handle begin, and a thousandth of the range beside each inner place of the target; the handle stands on one of
    these, so that every number shown is a computed one. Where a loss has a corner at the target, both slopes beside it
    are shown.

    `target`: physical values (default: those of the program), or audio `[num_samples]`, for a live kernel only. It can
    be dragged to `targets` even steps of the parameter, which are among the `num`, besides where it begins;
    0 leaves it there, as it does audio. `theta [P]`, in the unit cube, is where the handle begins and where the other
    parameters stay (default: the target's, with the handle at the default of the program).

    With a kernel `theta`, `value` and `target`, in the unit cube, follow the hand, and `theta` and `target` move it,
    to the nearest place.
    `tables[loss] [targets, 2, n]` has values and gradients for the places `rows [targets]` of the target and
    `grid [n]` of the handle, in the unit cube.
    Raises ValueError for an unknown parameter, `num < 2`, `targets` that are not among the `num`, losses that share a
    name or work at another sample rate, and a target that does not fit. Shown in notebooks/landscapes_1d.md and
    notebooks/losses.md.
    """

    script = "landscape_scrubber.js"
    target = traitlets.List(traitlets.Float()).tag(sync=True)

    def __init__(
        self,
        synth: FaustSynth,
        losses: Sequence[Loss] = PAPER_LOSSES,
        target: Mapping[str, float] | ArrayLike | None = None,
        parameter: str | None = None,
        num: int = 61,
        targets: int = 21,
        *,
        theta: ArrayLike | None = None,
        progress: bool = True,
    ) -> None:
        names = synth.space.names
        parameter = names[0] if parameter is None else parameter
        if parameter not in names:
            raise ValueError(f"{synth.name} has no parameter {parameter!r} (there are: {', '.join(names)})")
        check_losses(synth, losses)
        if num < 2:
            raise ValueError(f"num must be 2 or more, not {num}")
        aim, sound = aim_of(synth, target)
        targets = 0 if sound is not None else targets
        legal = [0, *(n for n in range(2, num + 1) if (num - 1) % (n - 1) == 0)]
        if targets not in legal:
            raise ValueError(f"targets must be one of {', '.join(map(str, legal))} for num = {num}, not {targets}")
        self._at = names.index(parameter)
        begin = point_of(synth, [parameter], aim, theta)

        grid = np.linspace(0, 1, num, dtype=np.float32)
        kept = grid[:: (num - 1) // (targets - 1)] if targets else grid[:0]
        aimed = [] if aim is None else [_nearby(grid, aim[self._at])]
        self.rows = np.union1d(kept, aimed).astype(np.float32)
        inner = self.rows[(self.rows > BESIDE) & (self.rows < 1 - BESIDE)]
        self.grid = np.union1d(grid, aimed).astype(np.float32)
        for place in (*(inner - BESIDE), *(inner + BESIDE), begin[self._at]):
            self.grid = np.union1d(self.grid, _nearby(self.grid, place))
        begin[self._at] = self._computed(begin[self._at])
        self.tables = _tables(
            synth, losses, _line(begin, self._at, self.grid), _line(aim or begin, self._at, self.rows), sound,
            np.eye(len(names), dtype=np.float32)[self._at], progress,
        )  # fmt: skip
        data: dict[str, Any] = {
            "id": f"scrub-{synth.name}-{parameter}",
            "program": program(synth, sound),
            "parameter": self._at,
            "grid": self.grid.tolist(),
            "rows": self.rows.tolist(),
            "target": aim or [],
            "losses": [
                {"name": name, "color": color, "table": compact(self.tables[name])}
                for name, color in colors(self.tables).items()
            ],
        }
        if sound is not None:
            data["audio"] = compact(sound)
        super().__init__(synth, [parameter], begin, data=data, target=aim or [])

    @traitlets.observe("target")
    def _aim(self, _: Any) -> None:
        self.value = self._values()

    def _row(self) -> int:
        """The table's row whose target is nearest."""
        return int(np.abs(self.rows - self.target[self._at]).argmin()) if self.target else 0

    def _computed(self, x: float) -> float:
        return float(self.grid[np.abs(self.grid - x).argmin()])

    def _values(self) -> dict[str, float]:
        at = np.abs(self.grid - self.theta[self._at]).argmin()
        return {name: float(table[self._row(), 0, at]) for name, table in self.tables.items()}

    def figure(self) -> Figure:
        space, (parameter,) = self.synth.space, self.free
        x = np.asarray(space.to_physical(_line(self.theta, self._at, self.grid)))[:, self._at]
        curves = {name: (x, *table[self._row()]) for name, table in self.tables.items()}
        aim = float(space.to_physical(np.array(self.target))[self._at]) if self.target else None
        return landscape_figure(curves, label(space, parameter), aim)


def _nearby(grid: np.ndarray, place: float) -> np.float32:
    """The point of the grid at `place`, which single precision may have moved off it, or `place` itself."""
    nearest = grid[np.abs(grid - place).argmin()]
    return nearest if abs(nearest - place) < 1e-5 else np.float32(place)


def _line(through: Iterable[float], axis: int, places: np.ndarray) -> np.ndarray:
    """Points `[n, P]` that differ in one coordinate."""
    points = np.tile(np.array([*through], np.float32), (len(places), 1))
    points[:, axis] = places
    return points


def _tables(
    synth: FaustSynth,
    losses: Sequence[Loss],
    candidates: np.ndarray,
    targets: np.ndarray,
    sound: np.ndarray | None,
    direction: np.ndarray,
    progress: bool,
) -> dict[str, np.ndarray]:
    """Values and derivatives `[targets, 2, candidates]` of each loss. Sounds and features are computed once for every
    point, as are their tangents along `direction`; targets that are candidates cost only distances."""
    points, place = np.unique(np.concatenate([candidates, targets]), axis=0, return_inverse=True)
    here, there = np.split(place.ravel(), [len(candidates)])
    audio, change = _sounds(synth, points, direction)
    tables = {}
    steps = len(losses) * max(len(there), 1)
    with tqdm(total=steps, delay=2, disable=not progress, desc=synth.name, leave=False) as bar:
        for loss in losses:
            feature, along = _features(loss, audio, change)
            known = [jax.tree.map(itemgetter(i), feature) for i in there]
            references = known if sound is None else [loss.feature(jnp.asarray(sound))]
            rows = []
            for reference in references:
                rows.append(np.stack(jax.device_get(_distances(loss, reference, feature, along)))[:, here])
                bar.update()
            tables[loss.name] = np.stack(rows).astype(np.float32)
    return tables


@partial(jax.jit, static_argnums=0)
def _sounds(synth: FaustSynth, points: jax.Array, direction: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jax.lax.map(lambda point: jax.jvp(synth, (point,), (direction,)), points)


@partial(jax.jit, static_argnums=0)
def _features(loss: Loss, audio: jax.Array, change: jax.Array) -> tuple[Feature, Feature]:
    return jax.lax.map(lambda pair: jax.jvp(loss.feature, pair[:1], pair[1:]), (audio, change))


@partial(jax.jit, static_argnums=0)
def _distances(loss: Loss, reference: Feature, feature: Feature, along: Feature) -> tuple[jax.Array, jax.Array]:
    return jax.lax.map(lambda pair: jax.jvp(partial(loss.distance, reference), pair[:1], pair[1:]), (feature, along))


# ------------------------------------------------------------------------------------------ for both landscapes


def aim_of(
    synth: FaustSynth, target: Mapping[str, float] | ArrayLike | None
) -> tuple[list[float] | None, np.ndarray | None]:
    """The target as a point of the unit cube, or as audio, whichever it is.

    Raises ValueError for an unknown name, a value out of range, or audio of another length.
    """
    if target is None or isinstance(target, Mapping):
        return start(synth.space, target or {}), None
    audio = np.asarray(target, np.float32)
    if audio.shape != (synth.num_samples,):
        raise ValueError(f"target must have shape ({synth.num_samples},) for {synth.name}, not {audio.shape}")
    return None, audio


def point_of(
    synth: FaustSynth, free: Sequence[str], aim: Sequence[float] | None, theta: ArrayLike | None
) -> list[float]:
    """Where the handle begins: `theta [P]`, or the defaults for `free` parameters and the target's for the others."""
    space = synth.space
    if theta is None:
        usual = start(space, {})
        both = zip(space.names, usual, aim or usual, strict=True)
        return [mine if name in free else its for name, mine, its in both]
    point = np.asarray(theta, np.float32)
    if point.shape != (len(space),) or not ((point >= 0) & (point <= 1)).all():
        raise ValueError(f"theta must be {len(space)} numbers from 0 to 1 for {synth.name}, not {theta}")
    return point.tolist()


def check_losses(synth: FaustSynth, losses: Sequence[Loss]) -> None:
    """Raises ValueError when there is no loss, when two share a name, or when one works at another sample rate."""
    names = [loss.name for loss in losses]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"losses must be one or more, with a name each, not ({', '.join(names)})")
    for loss in losses:
        if loss.sample_rate not in (None, synth.sample_rate):
            raise ValueError(f"{loss.name} works at {loss.sample_rate} Hz but {synth.name} at {synth.sample_rate} Hz")


def colors(names: Iterable[str]) -> dict[str, str]:
    """A colour for each loss, that of all figures for those which have one."""
    others = cycle(_OTHERS)
    return {name: COLORS.get(name) or next(others) for name in names}


def label(space: ParamSpace, name: str) -> str:
    """A parameter with its unit, for an axis."""
    unit = space.unit[space.names.index(name)]
    return f"{name} ({unit})" if unit else name
