"""Whether a match worked: what it attained beside random draws, silence, and what the search could not move."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from sonimatch.match import match
from sonimatch.types import Loss, Match, Synth

NEAR_END = 0.01
"""A parameter within this part of its range from an end counts as at the end."""


@dataclass(frozen=True)
class Assessment:
    """The run that is kept of a match, and what it is worth.

    `runs [n]` are those of the search, from every start. `kept` has one trajectory: that of the start `start` with the
    lowest loss or, where `start` is None, that of the random draws, which take its place when they are better and
    the search had no gradient to follow.
    `draws` are random draws, by default as many as the search had evaluations, each slope counted as one. The names
    are of parameters: `at_end` of the kept point, `unmoved` by the search from its best start, and `without_gradient`,
    as the function of this name finds.
    """

    runs: Match
    kept: Match
    start: int | None
    draws: Match
    loss_of_silence: float
    at_end: tuple[str, ...]
    unmoved: tuple[str, ...]
    without_gradient: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def step(self) -> int:
        """The step of the kept point."""
        return _lowest(self.kept.trajectory.value)

    @property
    def objections(self) -> tuple[str, ...]:
        """Why this is no success, a line each."""
        number, loss, best = len(self.draws.trajectory.value), float(self.kept.value_best), float(self.draws.value_best)
        found = []
        if self.without_gradient:
            verb = "has" if len(self.without_gradient) == 1 else "have"
            instead = (
                "the start is left there" if self.start is not None else f"the best of {number} random draws is kept"
            )
            found.append(f"{', '.join(self.without_gradient)} {verb} no gradient for the search to follow; {instead}")
        elif self.unmoved == self.names:
            found.append("no parameter moved from its start")
        if self.start is not None and not loss < best:
            found.append(f"no better than the best of {number} random draws: loss {loss:.6g} against {best:.6g}")
        if not loss < self.loss_of_silence:
            found.append(f"no better than silence: loss {loss:.6g} against {self.loss_of_silence:.6g}")
        return tuple(found)

    @property
    def comparison(self) -> str:
        """The losses in a line."""
        values, draws = self.kept.trajectory.value, self.draws
        spent = int(self.kept.evaluations)
        return (
            f"loss: {values[0]:.6g} at the start, {self.kept.value_best:.6g} at the best, "
            f"evaluation {(self.step + 1) * spent // len(values)} of {spent}; "
            f"{draws.value_best:.6g} of the best of {len(draws.trajectory.value)} random draws, "
            f"{self.loss_of_silence:.6g} of silence"
        )

    def remarks(self, name: str) -> tuple[str, ...]:
        """What there is to say about the parameter `name`."""
        texts = {
            f"at or within {100 * NEAR_END:g} % of an end of its range": self.at_end,
            "never moved": self.unmoved,
            "no gradient": self.without_gradient,
        }
        return tuple(text for text, names in texts.items() if name in names)

    @property
    def worked(self) -> bool:
        """Whether every parameter has a gradient, one moved, and both random draws and silence are worse."""
        return not self.objections


def assess(
    synth: Synth,
    loss: Loss,
    target: jax.Array,
    found: Match,
    *,
    draws: Match | None = None,
    key: jax.Array | None = None,
    progress: bool = True,
) -> Assessment:
    """Compare what a search found, from one start or many, with random draws and with silence.

    The draws are those of an earlier assessment, or as many as there were evaluations, by `key`. Costs as many
    evaluations again, and a Jacobian where a parameter never moved.
    """
    found = jax.device_get(found if found.theta_best.ndim == 2 else jax.tree.map(lambda leaf: leaf[None], found))
    start = _lowest(found.value_best)
    kept = jax.tree.map(lambda leaf: leaf[start], found)
    if draws is None:
        fresh = match(synth, loss, target, _Draws(), int(found.evaluations.sum()), key=key, progress=progress)
        draws = jax.device_get(fresh)
    assert draws
    target, names = jnp.asarray(target), synth.space.names
    silence = between(loss, target, jnp.zeros_like(target))

    def still(path: jax.Array) -> tuple[str, ...]:
        rests = (path == path[..., :1, :]).reshape(-1, len(names)).all(axis=0)
        return tuple(name for name, rest in zip(names, rests, strict=True) if rest)

    flat = still(found.trajectory.theta)
    flat = without_gradient(synth, flat) if flat else ()
    unmoved = still(kept.trajectory.theta)
    if flat and not kept.value_best <= draws.value_best:
        kept, start = draws, None
    ends = np.abs(kept.theta_best - 0.5) >= 0.5 - NEAR_END
    at_end = tuple(name for name, end in zip(names, ends, strict=True) if end)
    return Assessment(found, kept, start, draws, float(silence), at_end, unmoved, flat, names)


def without_gradient(synth: Synth, among: Sequence[str] | None = None, points: int = 3) -> tuple[str, ...]:
    """The parameters (`among` these, default: all) whose derivative of the sound is zero though the sound changes.

    So it is where a parameter reaches the sound through the index of a table, a rounded number or a switch. Looked at
    in `points` random points of the cube: every sample of the derivative is exactly 0 in each, and the sound is another
    when the parameter takes its value in another point.
    """
    names = synth.space.names
    thetas = synth.space.sample(jax.random.key(0), points)
    columns = [names.index(name) for name in (names if among is None else among)]
    push = jax.vmap(lambda theta, unit: jax.jvp(synth, (theta,), (unit,))[1], (None, 0))
    slopes = [np.asarray(push(theta, jnp.eye(len(names))[jnp.array(columns)])) for theta in thetas]
    flat = [column for row, column in enumerate(columns) if not any(slope[row].any() for slope in slopes)]

    def moves(column: int) -> bool:
        pairs = zip(thetas, jnp.roll(thetas, 1, axis=0), strict=True)
        return any(bool((synth(a) != synth(a.at[column].set(b[column]))).any()) for a, b in pairs)

    return tuple(names[column] for column in flat if moves(column))


@dataclass(frozen=True)
class _Draws:
    """Uniform draws that are asked for: they are looked at by the code that was compiled for the race."""

    name: str = "RandomSearch"

    def cost(self, n_parameters: int) -> int:
        return 1

    def asks(self, start: np.ndarray, rng: np.random.Generator) -> Generator[np.ndarray, np.ndarray, None]:
        yield start[None]
        while True:
            yield rng.random((64, start.size))


@partial(jax.jit, static_argnums=0)
def between(loss: Loss, target: jax.Array, sound: jax.Array) -> jax.Array:
    """The loss of `sound [samples]` for `target [samples]`."""
    return loss.distance(loss.feature(target), loss.feature(sound))


def _lowest(values: ArrayLike) -> int:
    """The index of the lowest finite value; the first where none is finite."""
    return int(np.where(np.isfinite(values), values, np.inf).argmin())
