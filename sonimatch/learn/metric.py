"""The metric that a feature gives to the parameters of a synth: how far a small step moves what is heard."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from sonimatch.learn.data import Kept
from sonimatch.match import cores
from sonimatch.study.experiment import _plain
from sonimatch.types import Synth


class Eigen(NamedTuple):
    """`values [..., P]`, ascending, and `vectors [..., P, P]`, one in each column, of symmetric matrices."""

    values: np.ndarray
    vectors: np.ndarray


def metric(feature: Callable[[jax.Array], Any], synth: Synth, theta: ArrayLike) -> np.ndarray:
    """`M(θ) = JᵀJ`, `J` the Jacobian of `feature ∘ synth` by the coordinates of the unit cube.

    `||Φ(θ + δ) - Φ(θ)||² = δᵀ M(θ) δ` up to the third order in δ: near θ, and only there, the ellipse `δᵀ M δ = r²` is
    what sounds alike at a distance of r. In coordinates from -1 to 1, which the source has, `M` is four times smaller.

    `feature` maps audio `[samples]` to an array or a tuple of arrays, and is hashable, as `JointScattering(...)` or the
    `feature` of a loss are; `theta [P]` or `[n, P]` lies in the cube. By forward mode, a tangent for each parameter;
    many points are shared among the cores. `M [P, P]` or `[n, P, P]` is float32, or float64 in double precision; NaN
    where the sound or a derivative is not finite. `ValueError` for another shape, and for quantised parameters, which
    have no derivative. Source: Han, Lostanlen and Lagrange, "Learning to solve inverse problems for perceptual sound
    matching", 2024, equation 6. Shown in notebooks/geometry_of_a_synthesizer.md.
    """
    theta = jnp.asarray(theta)
    theta = theta.astype(jnp.result_type(theta, jnp.float32))
    if theta.ndim not in (1, 2) or theta.shape[-1] != len(synth.space):
        raise ValueError(f"theta must have shape ({len(synth.space)},) or (n, {len(synth.space)}), not {theta.shape}")
    synth.space.check(theta)
    if grid := [name for name, whole in zip(synth.space.names, synth.space.quantised, strict=True) if whole]:
        raise ValueError(f"{synth.name}: {', '.join(grid)} is quantised, and has no derivative")
    if theta.ndim == 1:
        return np.asarray(_metric(feature, synth, theta))
    if not len(theta):
        return np.zeros((0, theta.shape[1], theta.shape[1]), theta.dtype)
    parts = min(cores(), len(theta)) if jax.default_backend() == "cpu" else 1
    number = -(-len(theta) // parts)  # for each core as many, so that one program serves all
    rows = np.asarray(theta)[np.arange(parts * number).clip(max=len(theta) - 1)].reshape(parts, number, -1)
    with ThreadPoolExecutor(parts) as pool:
        return np.concatenate([*pool.map(lambda some: np.asarray(_metrics(feature, synth, some)), rows)])[: len(theta)]


@partial(jax.jit, static_argnums=(0, 1))
def _metric(feature: Any, synth: Any, theta: jax.Array) -> jax.Array:
    def flat(theta: jax.Array) -> jax.Array:
        return jnp.concatenate([jnp.ravel(array) for array in jax.tree.leaves(feature(synth(theta)))])

    J = jax.jacfwd(flat)(theta)
    return jnp.matmul(J.T, J, precision="highest")


@partial(jax.jit, static_argnums=(0, 1))
def _metrics(feature: Any, synth: Any, theta: jax.Array) -> jax.Array:
    one = partial(_metric, feature, synth)
    return jax.lax.map(one, theta) if jax.default_backend() == "cpu" else jax.vmap(one)(theta)


def metrics(
    feature: Any,
    synth: Synth,
    theta: ArrayLike,
    folder: str | os.PathLike[str],
    *,
    chunk: int = 64,
    progress: bool = True,
) -> np.ndarray:
    """As `metric` of `theta [n, P]`, computed `chunk` points at a time and kept in `folder` (see `Kept`).

    A call that was killed goes on where it was; another feature, synth or set of points is refused (`DataError`).
    `feature` is a frozen dataclass, else `ValueError`.
    """
    if not hasattr(feature, "__dataclass_fields__"):
        raise ValueError(f"the feature is {feature!r}; it must be a frozen dataclass, as JointScattering(epsilon=1e-3)")
    points = np.ascontiguousarray(theta, np.float32)
    settings = {
        "what": "metric",
        "synth": _plain(synth),
        "feature": _plain(feature),
        "theta": sha256(points.tobytes()).hexdigest(),
    }
    kept = Kept(folder, settings, len(points), chunk)

    def make(some: np.ndarray) -> dict[str, np.ndarray]:  # of one shape, so that one program serves all
        return {
            "M": metric(feature, synth, np.resize(points[some], (min(chunk, len(points)), points.shape[1])))[
                : len(some)
            ]
        }

    return kept.compute(make, progress=progress)["M"]


def eigen(M: ArrayLike) -> Eigen:
    """The principal axes of metrics `M [..., P, P]`, in double precision.

    The ellipse `δᵀ M δ = r²` has the half-axes `r / √values` along `vectors`: what has a small eigenvalue is hardly
    heard.
    """
    return Eigen(*np.linalg.eigh(np.asarray(M, float)))


def squared_length(M: ArrayLike, step: ArrayLike) -> np.ndarray:
    """`δᵀ M δ`, `[...]`, of metrics `M [..., P, P]` and steps `δ [..., P]`: near enough, the squared distance heard."""
    return np.einsum("...i,...ij,...j->...", *map(np.asarray, (step, M, step)))
