"""RMSProp, the search of the published study."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from sonimatch.types import Objective, Trajectory


@dataclass(frozen=True)
class RMSProp:
    """Gradient descent with each step divided by the root mean square of past gradients.

    It moves in the coordinates of the published method, `nu = 2 theta - 1` in `[-1, 1]`:
    the gradient `g` is scaled to `||g||_2 <= clip_norm` (None: not scaled), then
    `v <- decay v + (1 - decay) g²` and `nu <- nu - learning_rate g / sqrt(v + eps)` (Tieleman and Hinton 2012).
    Without bias correction the first step has length `learning_rate / sqrt(1 - decay)` in every parameter,
    0.142 with the published settings, whatever the gradient.

    With `bounded` each step ends inside `[-1, 1]`; without, as published, a parameter may leave the range, where
    the synthesizer's gradient is zero, and not return.
    A non-finite value or gradient leaves the point where it is.
    Without momentum, a point with zero gradient is left never again: from there on nothing is computed.
    Shown in notebooks/one_match.md.
    """

    learning_rate: float = 0.045
    clip_norm: float | None = 1.0
    decay: float = 0.9
    eps: float = 1e-8
    bounded: bool = False
    name: str = "RMSProp"
    evals_per_step: int = 1

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, not {self.learning_rate}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm must be positive or None, not {self.clip_norm}")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must be in [0, 1), not {self.decay}")

    @property
    def _update(self) -> optax.GradientTransformation:
        clip = optax.identity() if self.clip_norm is None else optax.clip_by_global_norm(self.clip_norm)
        return optax.chain(clip, optax.rmsprop(self.learning_rate, decay=self.decay, eps=self.eps))

    def init(self, theta: jax.Array, key: jax.Array) -> Any:
        nu = 2 * theta - 1
        nothing = jnp.full_like(theta[0], jnp.nan)
        return nu, self._update.init(nu), Trajectory(theta, nothing, nothing), jnp.array(False)

    def step(self, state: Any, objective: Objective, key: jax.Array) -> tuple[Any, Trajectory]:
        state = jax.lax.cond(state[-1], lambda state: state, partial(self._move, objective), state)
        return state, state[2]

    def _move(self, objective: Objective, state: Any) -> Any:
        nu, memory, _, _ = state
        value, gradient = jax.value_and_grad(lambda nu: objective((nu + 1) / 2))(nu)
        here = Trajectory(theta=(nu + 1) / 2, value=value, grad_norm=jnp.linalg.norm(gradient))
        finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
        gradient = jnp.where(finite, gradient, 0.0)
        move, memory = self._update.update(gradient, memory)
        after = jnp.where(finite, nu + jnp.asarray(move), nu)
        return jnp.clip(after, -1.0, 1.0) if self.bounded else after, memory, here, jnp.all(gradient == 0)
