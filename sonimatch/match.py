"""The one loop: a search walks down a loss, from one start or from many at once."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from tqdm import tqdm

from sonimatch.search import RMSProp
from sonimatch.search.descent import Descent
from sonimatch.types import Loss, Match, Problem, Search, Synth, Trajectory

_BLOCKS = 20  # how often the progress bar moves


def match(
    synth: Synth,
    loss: Loss,
    target: jax.Array,
    search: Search = RMSProp(),  # noqa: B008 (frozen)
    steps: int = 200,
    *,
    init: jax.Array | None = None,
    key: jax.Array | None = None,
    progress: bool = True,
) -> Match:
    """Search for the parameters with which `synth` sounds like `target [num_samples]`.

    Minimises `loss.distance(loss.feature(target), loss.feature(synth(theta)))` over `theta` in the unit cube.
    `init [P]` is the start; without it one is drawn uniformly from the cube by `key` (default: seed 0).
    `init [n, P]` runs n starts in one batch, and every array of the result has a leading axis n.
    Both are unit values: `synth.space.theta` makes them of physical ones.
    The trajectory has `steps + 1` entries: the start, and the point after each update.
    A bar shows the progress of anything over two seconds.

    Raises ValueError when the target does not fit the synth, when the sample rates of loss and synth differ, when a
    shape is wrong, when a start lies outside the unit cube, where nothing would move it, or when the
    search needs gradients and a parameter is quantised.
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
    if grid and isinstance(search, Descent):
        raise ValueError(
            f"{search.name} follows gradients, and {', '.join(grid)} of {synth.name} has none: it has only the "
            "settings of its slider; use a search without gradients, as RandomSearch"
        )
    if steps < 0:
        raise ValueError(f"steps must be 0 or more, not {steps}")
    length = -(-(steps + 1) // _BLOCKS) if progress else steps + 1
    reference = jax.vmap(loss.feature)(problems.target)
    state = jax.vmap(search.init)(problems.theta_init, problems.key)
    blocks = []
    with tqdm(total=steps, delay=2, disable=not progress, desc=f"{synth.name}, {loss.name}", leave=False) as bar:
        for first in range(0, steps + 1, length):
            state, block = _advance(synth, loss, search, length, reference, state, problems.key, first)
            blocks.append(jax.block_until_ready(block))
            bar.update(min(length, steps - first))
    return _conclude(jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1)[:, : steps + 1], *blocks))


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _advance(
    synth: Synth, loss: Loss, search: Search, length: int, reference: Any, state: Any, key: jax.Array, first: int
) -> tuple[Any, Trajectory]:
    """`length` steps of every trial, from step number `first`."""

    def trial(reference: Any, state: Any, key: jax.Array) -> tuple[Any, Trajectory]:
        def objective(theta: jax.Array) -> jax.Array:
            return loss.distance(reference, loss.feature(synth(theta)))

        def step(state: Any, number: jax.Array) -> tuple[Any, Trajectory]:
            return search.step(state, objective, jax.random.fold_in(key, number))

        return jax.lax.scan(step, state, first + jnp.arange(length))

    if jax.default_backend() == "cpu":  # one trial after another stays in the caches
        return jax.lax.map(lambda parts: trial(*parts), (reference, state, key))
    return jax.vmap(trial)(reference, state, key)


@jax.jit
def _conclude(trajectory: Trajectory) -> Match:
    """The best finite point `[n, P]` of trajectories `[n, T, ...]`; the start where nothing was finite."""
    finite = jnp.isfinite(trajectory.value) & jnp.isfinite(trajectory.grad_norm)
    best = jnp.argmin(jnp.where(jnp.isfinite(trajectory.value), trajectory.value, jnp.inf), axis=1)
    pick = jax.vmap(lambda series, index: series[index])
    return Match(
        trajectory=trajectory,
        theta_best=pick(trajectory.theta, best),
        value_best=pick(trajectory.value, best),
        ok=jnp.all(finite, axis=1),
    )
