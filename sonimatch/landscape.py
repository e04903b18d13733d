"""Loss landscapes: the value and the gradient of a loss over one or two parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from sonimatch.types import Loss, Synth

_BATCH = 16


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Landscape:
    """`theta [*n, P]`, the loss `value [*n]` there and its `gradient [*n, P]`, one axis n per free parameter."""

    theta: np.ndarray
    value: np.ndarray
    gradient: np.ndarray


def landscape(
    synth: Synth,
    loss: Loss,
    target: jax.Array,
    *,
    parameters: str | Sequence[str] | None = None,
    num: int = 201,
    theta: jax.Array | None = None,
    progress: bool = True,
) -> Landscape:
    """The loss between `target [num_samples]` and the synth, on `num` even steps of each free parameter.

    `parameters` names one or two free parameters (default: all); the others stay at `theta [P]` (default: the
    middle of the cube).
    Values and gradients are with respect to unit-cube coordinates.

    Raises ValueError for a wrong name, more than two free parameters, `num < 2`, a target or a `theta` that does not
    fit, or sample rates that differ.
    Shown in notebooks/landscapes_1d.md.
    """
    names = synth.space.names
    free = names if parameters is None else (parameters,) if isinstance(parameters, str) else tuple(parameters)
    if unknown := [name for name in free if name not in names]:
        raise ValueError(f"{synth.name} has no parameter {unknown[0]!r} (there are: {', '.join(names)})")
    if not 1 <= len(set(free)) <= 2 or len(set(free)) != len(free):
        raise ValueError(f"a landscape has one or two free parameters, not {free}")
    if num < 2:
        raise ValueError(f"num must be 2 or more, not {num}")
    if loss.sample_rate not in (None, synth.sample_rate):
        raise ValueError(f"{loss.name} works at {loss.sample_rate} Hz but {synth.name} at {synth.sample_rate} Hz")
    target = jnp.asarray(target)
    if target.shape != (synth.num_samples,):
        raise ValueError(f"target must have shape ({synth.num_samples},) for {synth.name}, not {target.shape}")

    axes = np.meshgrid(*[np.linspace(0, 1, num, dtype=np.float32)] * len(free), indexing="ij")
    rest = np.full(len(names), 0.5, np.float32) if theta is None else np.asarray(theta, np.float32)
    if rest.shape != (len(names),):
        raise ValueError(f"theta must have shape ({len(names)},) for {synth.name}, not {rest.shape}")
    synth.space.check(rest)
    points = np.broadcast_to(rest, (*axes[0].shape, len(names))).copy()
    for name, axis in zip(free, axes, strict=True):
        points[..., names.index(name)] = axis

    flat = points.reshape(-1, len(names))
    starts = range(0, len(flat), _BATCH)
    reference = loss.feature(target)
    parts = []
    for start in tqdm(starts, delay=2, disable=not progress, desc=f"{synth.name}, {loss.name}", leave=False):
        batch = flat[np.arange(start, start + _BATCH).clip(max=len(flat) - 1)]  # the last batch repeats its last point
        parts.append(jax.device_get(_values(synth, loss, reference, batch)))
    value, gradient = (np.concatenate(series)[: len(flat)] for series in zip(*parts, strict=True))
    return Landscape(points, value.reshape(axes[0].shape), gradient.reshape(points.shape))


@partial(jax.jit, static_argnums=(0, 1))
def _values(synth: Synth, loss: Loss, reference: Any, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jax.vmap(jax.value_and_grad(lambda point: loss.distance(reference, loss.feature(synth(point)))))(theta)
