"""What a network is trained for: parameters near the true ones, by one measure of near or another.

Each is called with a model that guesses coordinates from -1 to 1, `rows` of the data by name (`picture [n, H, W]`, `nu
[n, P]`, and `M [n, P, P]` where it is used) and a damping, and gives a scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from sonimatch.losses import JTFS
from sonimatch.types import Synth

Rows = Mapping[str, jax.Array]


@dataclass(frozen=True)
class PLoss:
    """`mean ||ν̃ - ν||²`. Source: Han, Lostanlen and Lagrange 2024, table II."""

    def __call__(self, model: Any, rows: Rows, damping: ArrayLike = 0.0) -> jax.Array:
        return ((model(rows["picture"]) - rows["nu"]) ** 2).sum(-1).mean()


@dataclass(frozen=True)
class PNP:
    """`mean ⟨ν̃ - ν | M(ν) + λ I | ν̃ - ν⟩`, with the metric of each true ν by coordinates from -1 to 1, a quarter of
    what `metrics` gives, and the damping λ. Source: Han et al. 2024, equation 9 and algorithm 1."""

    def __call__(self, model: Any, rows: Rows, damping: ArrayLike = 0.0) -> jax.Array:
        step = model(rows["picture"]) - rows["nu"]
        return (jnp.einsum("ni,nij,nj->n", step, rows["M"], step) + damping * (step**2).sum(-1)).mean()


@dataclass(frozen=True)
class DDSP:
    """`mean ||Φ(g(ν̃)) - Φ(g(ν))||²`: both are rendered at every step, and the derivative goes through both.

    `feature` maps audio to an array or a tuple of them. Source: Engel et al. 2020; Han et al. 2024.
    """

    synth: Synth
    feature: Callable[[jax.Array], Any]

    def __call__(self, model: Any, rows: Rows, damping: ArrayLike = 0.0) -> jax.Array:
        def heard(nu: jax.Array) -> Any:
            return self.feature(self.synth((nu + 1) / 2))

        def one(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
            ours, theirs = heard(pair[0]), jax.lax.stop_gradient(heard(pair[1]))
            return sum(jnp.sum((a - b) ** 2) for a, b in zip(*map(jax.tree.leaves, (ours, theirs)), strict=True))  # pyright: ignore[reportReturnType]

        return jax.lax.map(one, (model(rows["picture"]), rows["nu"])).mean()


@dataclass(frozen=True)
class RandomPaths:
    """An unbiased estimate of `mean ||Φ(g(ν̃)) - Φ(g(ν))||²`, Φ the transform of `loss`, from `loss.paths` of its paths
    a step, drawn as `JTFS.estimate` does, once for the batch.

    The key comes from the bits of the batch's ν, so that a step is a function of its rows, as that of any objective.
    Source: Mitcheltree et al., "SCRAPL", 2026.
    """

    synth: Synth
    loss: JTFS

    def __call__(self, model: Any, rows: Rows, damping: ArrayLike = 0.0) -> jax.Array:
        nu = rows["nu"].astype(jnp.float32)
        key = jax.random.key(jax.lax.bitcast_convert_type(nu, jnp.uint32).sum(dtype=jnp.uint32))
        chosen, weight = self.loss.drawn(key)

        def heard(nu: jax.Array) -> jax.Array:
            return self.loss.transform.some(self.synth((nu + 1) / 2), chosen)

        def one(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
            squared = (heard(pair[0]) - jax.lax.stop_gradient(heard(pair[1]))) ** 2
            return (weight * squared.sum((1, 2))).mean() * self.loss.transform.paths().order.size

        return jax.lax.map(one, (model(rows["picture"]), nu)).mean()
