"""The one loop: a search looks for the lowest loss, from one start or from many at once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from sonimatch.search import Race
from sonimatch.types import Asking, Loss, Match, Problem, Search, Stepping, Synth, Trajectory

_BLOCKS = 20  # how often the progress bar of a search that steps moves
_BATCH = 64  # points of a search that asks, in one call of compiled code


def budget(n_parameters: int) -> int:
    """The evaluations of a match where nothing is said: 80 for each parameter, and at least 160."""
    return max(160, 80 * n_parameters)


def match(
    synth: Synth,
    loss: Loss,
    target: jax.Array,
    search: Search = Race(),  # noqa: B008 (frozen)
    evaluations: int | None = None,
    *,
    steps: int | None = None,
    init: jax.Array | None = None,
    key: jax.Array | None = None,
    progress: bool = True,
) -> Match:
    """Search for the parameters with which `synth` sounds like `target [num_samples]`.

    Minimises `loss.distance(loss.feature(target), loss.feature(synth(theta)))` over `theta` in the unit cube.
    `init [P]` is the start; without it one is drawn uniformly from the cube by `key` (default: seed 0).
    `init [n, P]` runs n starts in one batch, and every array of the result has a leading axis n.
    Both are unit values: `synth.space.theta` makes them of physical ones.
    The budget of each start is counted strictly: every rendering with its loss is an evaluation, and its slope along
    each of the P parameters is one more, so that a step of a descent costs 1 + P. By default it is 80 for each
    parameter, and at least 160. `steps`, given in its place, is the
    number of entries of the trajectory after the start: the updates of a descent.
    A bar shows the progress of anything over two seconds.

    Raises ValueError when the target does not fit the synth, when the sample rates of loss and synth differ, when a
    shape is wrong, when a start lies outside the unit cube, where nothing would move it, when the budget does not pay
    for the start, or when the search needs gradients and a parameter is quantised.
    Shown in notebooks/one_match.md.
    """
    if not len(synth.space):
        raise ValueError(f"{synth.name} has no parameter to match")
    target = jnp.asarray(target)
    target = target.astype(jnp.result_type(target, jnp.float32))
    if target.shape != (synth.num_samples,):
        raise ValueError(f"target must have shape ({synth.num_samples},) for {synth.name}, not {target.shape}")
    start_key, trial_key = jax.random.split(key if key is not None else jax.random.key(0))
    theta = synth.space.sample(start_key, 1)[0] if init is None else jnp.asarray(init, target.dtype)
    starts = jnp.atleast_2d(theta)
    if theta.ndim not in (1, 2) or not starts.size or starts.shape[1] != len(synth.space):
        raise ValueError(f"init must have shape ({len(synth.space)},) or (n, {len(synth.space)}), not {theta.shape}")
    synth.space.check(starts, 0.0, 1.0)
    if steps is None:
        cost = search.cost(len(synth.space))
        evaluations = budget(len(synth.space)) if evaluations is None else evaluations
        if evaluations < cost:
            raise ValueError(f"evaluations must be {cost} or more, a step of {search.name} here, not {evaluations}")
        steps = evaluations // cost - 1
    n = len(starts)
    problems = Problem(
        target=jnp.broadcast_to(target, (n, *target.shape)),
        theta_true=jnp.full_like(starts, jnp.nan),
        theta_init=starts,
        key=jax.random.split(trial_key, n),
    )
    result = match_all(synth, loss, problems, search, steps, progress=progress)
    return jax.tree.map(lambda leaf: leaf[0], result) if theta.ndim == 1 else result


def match_all(
    synth: Synth, loss: Loss, problems: Problem, search: Search, steps: int, *, progress: bool = False
) -> Match:
    """Solve a batch of problems (every array with a leading axis) side by side; see `match`."""
    if loss.sample_rate not in (None, synth.sample_rate):
        raise ValueError(f"{loss.name} works at {loss.sample_rate} Hz but {synth.name} at {synth.sample_rate} Hz")
    if problems.theta_init.ndim != 2 or problems.theta_init.shape[1] != len(synth.space):
        raise ValueError(f"starts must have shape (n, {len(synth.space)}), not {problems.theta_init.shape}")
    grid = [name for name, quantised in zip(synth.space.names, synth.space.quantised, strict=True) if quantised]
    if grid and search.cost(1) > 1:
        raise ValueError(
            f"{search.name} follows gradients, and {', '.join(grid)} of {synth.name} has none: it has only the "
            "settings of its slider; use a search without gradients, as Race"
        )
    if steps < 0:
        raise ValueError(f"steps must be 0 or more, not {steps}")
    with tqdm(total=steps, delay=2, disable=not progress, desc=f"{synth.name}, {loss.name}", leave=False) as bar:
        if isinstance(search, Asking):
            trajectory = _asked(synth, loss, problems, search, steps, _features(loss, problems.target), bar)
        else:
            reference = jax.vmap(loss.feature)(problems.target)  # as the stored records have it, to the last bit
            trajectory = _stepped(synth, loss, problems, search, steps, reference, bar)  # pyright: ignore[reportArgumentType]
    return _conclude(trajectory, search.cost(len(synth.space)))


def _stepped(
    synth: Synth, loss: Loss, problems: Problem, search: Stepping, steps: int, reference: Any, bar: Any
) -> Trajectory:
    length = steps + 1 if bar.disable else -(-(steps + 1) // _BLOCKS)
    state = jax.vmap(search.init)(problems.theta_init, problems.key)
    blocks = []
    for first in range(0, steps + 1, length):
        state, block = _advance(synth, loss, search, length, reference, state, problems.key, first)
        blocks.append(jax.block_until_ready(block))
        bar.update(min(length, steps - first))
    return jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1)[:, : steps + 1], *blocks)


@dataclass(frozen=True)
class _Objective:
    synth: Synth
    loss: Loss
    reference: Any

    def __call__(self, theta: jax.Array) -> jax.Array:
        return self.loss.distance(self.reference, self.loss.feature(self.synth(theta)))

    def residual(self, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        feature = self.loss.feature(self.synth(theta))
        parts = jax.tree.map(lambda x, y: ((x - y) / np.sqrt(x.size)).ravel(), feature, self.reference)
        return jnp.concatenate(jax.tree.leaves(parts)), self.loss.distance(self.reference, feature)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _advance(
    synth: Synth, loss: Loss, search: Stepping, length: int, reference: Any, state: Any, key: jax.Array, first: int
) -> tuple[Any, Trajectory]:
    """`length` steps of every trial, from step number `first`."""

    def trial(reference: Any, state: Any, key: jax.Array) -> tuple[Any, Trajectory]:
        objective = _Objective(synth, loss, reference)

        def step(state: Any, number: jax.Array) -> tuple[Any, Trajectory]:
            return search.step(state, objective, jax.random.fold_in(key, number))

        return jax.lax.scan(step, state, first + jnp.arange(length))

    if jax.default_backend() == "cpu":  # one trial after another stays in the caches
        return jax.lax.map(lambda parts: trial(*parts), (reference, state, key))
    return jax.vmap(trial)(reference, state, key)


def _asked(
    synth: Synth, loss: Loss, problems: Problem, search: Asking, steps: int, reference: Any, bar: Any
) -> Trajectory:
    """Every trial has a generator of its own; what they ask for at one time is rendered in one call."""
    starts, seeds = np.asarray(problems.theta_init), np.asarray(jax.random.key_data(problems.key))
    trials = [search.asks(start, np.random.default_rng(seed)) for start, seed in zip(starts, seeds, strict=True)]
    asked = [next(trial) for trial in trials]
    theta = np.empty((len(trials), steps + 1, starts.shape[1]), starts.dtype)
    value, done = np.empty(theta.shape[:2], starts.dtype), np.zeros(len(trials), int)
    while (done <= steps).any():
        left = steps + 1 - done
        batches = [points[:most].astype(starts.dtype) for points, most in zip(asked, left, strict=True)]
        if any(synth.space.quantised):
            batches = [np.asarray(synth.space.on_grid(batch)) for batch in batches]
        for i, (batch, row) in enumerate(zip(batches, _looked(synth, loss, reference, batches), strict=True)):
            found = row[: len(batch)]
            here = slice(done[i], done[i] + len(batch))
            theta[i, here], value[i, here] = batch, found
            done[i] = here.stop
            if len(batch) and done[i] <= steps:
                asked[i] = trials[i].send(np.where(np.isfinite(found), found, np.inf).astype(float))
        bar.update(max(done.min() - 1, 0) - bar.n)
    return Trajectory(jnp.asarray(theta), jnp.asarray(value), jnp.zeros(value.shape, value.dtype))


def _looked(synth: Synth, loss: Loss, reference: Any, batches: list[np.ndarray]) -> np.ndarray:
    """The values `[n, k]` of points `[n][<= k, P]`, to the longest batch, a part of them on each core."""
    most = max(map(len, batches))
    on_cpu = jax.default_backend() == "cpu"
    width = _BATCH if on_cpu else min(_BATCH, 1 << (most - 1).bit_length())
    size = min(width, -(-most // cores())) if on_cpu else width
    points = np.zeros((len(batches), most + width, *batches[0].shape[1:]), batches[0].dtype)
    for row, batch in zip(points, batches, strict=True):
        row[: len(batch)] = batch

    def part(first: int) -> np.ndarray:
        number = min(size, most - first)
        return np.asarray(_values(synth, loss, reference, points[:, first : first + width], number))[:, :number]

    firsts = range(0, most, size)
    return np.concatenate([*map(part, firsts)] if len(firsts) == 1 else [*_pool().map(part, firsts)], axis=1)


@cache
def _pool() -> ThreadPoolExecutor:
    """One for all searches, so that those side by side ask for no more than there is."""
    return ThreadPoolExecutor(cores())


def cores() -> int:
    """How many cores this process may use: those of XLA's `NPROC`, if it is set, as in the workers of a study."""
    affinity = getattr(os, "sched_getaffinity", None)
    return int(os.environ.get("NPROC", 0)) or (len(affinity(0)) if affinity else os.cpu_count() or 1)


@partial(jax.jit, static_argnums=0)
def _features(loss: Loss, sounds: jax.Array) -> Any:
    return jax.vmap(loss.feature)(sounds)


@partial(jax.jit, static_argnums=(0, 1))
def _values(synth: Synth, loss: Loss, reference: Any, points: jax.Array, number: int) -> jax.Array:
    """The first `number` values of each trial's points `[n, k, P]`, NaN behind them: `[n, k]`."""

    def one(reference: Any, theta: jax.Array) -> jax.Array:
        return loss.distance(reference, loss.feature(synth(theta)))

    def trial(reference: Any, points: jax.Array) -> jax.Array:
        empty = jnp.full(len(points), jnp.nan, jax.eval_shape(one, reference, points[0]).dtype)
        return jax.lax.fori_loop(0, number, lambda k, row: row.at[k].set(one(reference, points[k])), empty)

    if jax.default_backend() == "cpu":
        return jax.lax.map(lambda parts: trial(*parts), (reference, points))
    return jax.vmap(jax.vmap(one, (None, 0)))(reference, points)


@partial(jax.jit, static_argnums=1)
def _conclude(trajectory: Trajectory, cost: int) -> Match:
    """The best finite point `[n, P]` of trajectories `[n, T, ...]`; the start where nothing was finite."""
    finite = jnp.isfinite(trajectory.value) & jnp.isfinite(trajectory.grad_norm)
    best = jnp.argmin(jnp.where(jnp.isfinite(trajectory.value), trajectory.value, jnp.inf), axis=1)
    pick = jax.vmap(lambda series, index: series[index])
    return Match(
        trajectory=trajectory,
        theta_best=pick(trajectory.theta, best),
        value_best=pick(trajectory.value, best),
        ok=jnp.all(finite, axis=1),
        evaluations=jnp.full(best.shape, cost * trajectory.value.shape[1]),
    )
