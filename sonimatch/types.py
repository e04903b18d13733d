"""The protocols and the frozen values that flow between the rooms.

*Static* values (parameter spaces, synths, losses, searches) are frozen dataclasses: they hash, compare
equal when their settings are equal, and go to `jax.jit` as static arguments.
*Pytrees* (`Problem`, `Trajectory`, `Match`) hold arrays and batch on a leading axis.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

Feature = Any
"""What a loss compares: an array, or a tuple of arrays."""


@runtime_checkable
class Synth(Protocol):
    """A synthesizer: a pure function from parameters to sound.

    `__call__(theta)` takes `theta [P]` in the unit cube and returns audio `[num_samples]`.
    It can be jitted, batched with `vmap`, and differentiated in forward and in reverse mode.
    """

    @property
    def name(self) -> str: ...
    @property
    def space(self) -> Any: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def num_samples(self) -> int: ...
    def __call__(self, theta: jax.Array) -> jax.Array: ...


@runtime_checkable
class Loss(Protocol):
    """A similarity measure, split so that the target's features are computed once.

    `feature(audio)` maps audio `[samples]` to an array, or a tuple of arrays; `distance(a, b)` maps the
    target's feature `a` and the candidate's feature `b` to a scalar, smaller is more alike.
    `sample_rate` is the only rate (Hz) the loss accepts, or None when any will do.
    """

    @property
    def name(self) -> str: ...
    @property
    def sample_rate(self) -> int | None: ...
    def feature(self, audio: jax.Array) -> Feature: ...
    def distance(self, a: Feature, b: Feature) -> jax.Array: ...


class Objective(Protocol):
    """A differentiable function from `theta [P]` (unit-cube coordinates) to a scalar loss.

    `residual(theta)` gives, of one rendering, the difference of the candidate's features to the target's and the loss:
    `[m]`, each array of the feature flattened and divided by the root of its size, so that the sum of squares is that
    of their mean squares, and the scalar.
    """

    def __call__(self, theta: jax.Array) -> jax.Array: ...
    def residual(self, theta: jax.Array) -> tuple[jax.Array, jax.Array]: ...


@runtime_checkable
class Search(Protocol):
    """A heuristic that looks for the parameters of lowest loss: one that *steps* or one that *asks*.

    Budgets are counted in evaluations: a rendering with its loss is one, and its slope along each parameter one more.
    `cost(n_parameters)` is what an entry of the `Trajectory` costs.
    """

    @property
    def name(self) -> str: ...
    def cost(self, n_parameters: int) -> int: ...


@runtime_checkable
class Stepping(Search, Protocol):
    """A search that is traced, and may follow gradients: all its steps are one loop of compiled code.

    `init(theta, key)` makes a state; `step(state, objective, key)` evaluates the objective and returns the next state
    and the `Trajectory` record (scalars, no time axis) of the point where it looked.
    """

    def init(self, theta: jax.Array, key: jax.Array) -> Any: ...
    def step(self, state: Any, objective: Objective, key: jax.Array) -> tuple[Any, Trajectory]: ...


@runtime_checkable
class Asking(Search, Protocol):
    """A search that needs values only: a generator in NumPy.

    `asks(start, rng)` yields points `[k, P]` of the unit cube, the first of them `start [P]`, is sent their values
    `[k]` (infinity where a sound or a loss is not finite), and goes on for as long as it is asked.
    """

    def asks(self, start: np.ndarray, rng: np.random.Generator) -> Generator[np.ndarray, np.ndarray, None]: ...


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Problem:
    """One matching problem: `target [samples]`, `theta_true [P]` (NaN when unknown), `theta_init [P]`, `key`."""

    target: jax.Array
    theta_true: jax.Array
    theta_init: jax.Array
    key: jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Trajectory:
    """What a search saw: `theta [T, P]`, `value [T]`, `grad_norm [T]`, entry `t` before update `t`.

    `grad_norm` is the Euclidean norm of the gradient in the coordinates that the search moves in.
    """

    theta: jax.Array
    value: jax.Array
    grad_norm: jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Match:
    """The outcome of a search: its `trajectory`, the best finite point of it, whether all of it was finite, and its
    cost in evaluations."""

    trajectory: Trajectory
    theta_best: jax.Array
    value_best: jax.Array
    ok: jax.Array
    evaluations: jax.Array
