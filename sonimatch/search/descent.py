"""What the gradient searches share: where they move, how they are clipped and bounded, and when they rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from sonimatch.types import Objective, Trajectory


@dataclass(frozen=True, kw_only=True)
class Descent:
    """Steps against the gradient, a value with its slopes each, in the coordinates of the published method.

    These are `nu = 2 theta - 1` in `[-1, 1]`. The gradient `g` is scaled to `||g||_2 <= clip_norm` (None: not scaled,
    but each component is kept within 1e18, whose square float32 holds) and handed to the `rule` of the subclass.
    With `bounded` each step ends inside `[-1, 1]`; without, as published, a parameter may leave the range, where the
    synthesizer's gradient is zero, and not return. A non-finite value or gradient counts as zero.
    """

    learning_rate: float
    clip_norm: float | None = 1.0
    bounded: bool = False
    name: str

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, not {self.learning_rate}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm must be positive or None, not {self.clip_norm}")

    @property
    def rule(self) -> optax.GradientTransformation:
        """From gradients to moves."""
        raise NotImplementedError

    @property
    def has_momentum(self) -> bool:
        """Whether a point can move although its gradient is zero."""
        return False

    @property
    def _update(self) -> optax.GradientTransformation:
        clip = optax.clip(1e18) if self.clip_norm is None else optax.stateless(self._clip)
        return optax.chain(clip, self.rule)

    def _clip(self, gradient: Any, _: Any) -> Any:
        """The gradient at norm `clip_norm` at most; beyond 1e15 scaled first, as its square would overflow.

        findings/optax_clip.sh shows what Optax does there; below, this is Optax's clip bit for bit.
        """
        limit: Any = self.clip_norm
        largest = jnp.abs(gradient).max()
        scale = jnp.where(largest > 1e15, largest, 1.0)
        norm = jnp.linalg.norm(gradient / scale)
        clipped = gradient / scale / norm * limit
        return jnp.where(norm < limit / scale, gradient, clipped)

    def cost(self, n_parameters: int) -> int:
        return 1 + n_parameters

    def init(self, theta: jax.Array, key: jax.Array) -> Any:
        nu = 2 * theta - 1
        nothing = jnp.full_like(theta[0], jnp.nan)
        return nu, self._update.init(nu), Trajectory(theta, nothing, nothing), jnp.array(False)

    def step(self, state: Any, objective: Objective, key: jax.Array) -> tuple[Any, Trajectory]:
        state = jax.lax.cond(state[-1], lambda state: state, partial(self._move, objective), state)
        return state, state[2]

    def _move(self, objective: Objective, state: Any) -> Any:
        """One step; without momentum, a point with zero gradient rests from there on, and nothing is computed."""
        nu, memory, _, _ = state
        value, gradient = jax.value_and_grad(lambda nu: objective((nu + 1) / 2))(nu)
        here = Trajectory(theta=(nu + 1) / 2, value=value, grad_norm=jnp.linalg.norm(gradient))
        gradient = jnp.where(jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient)), gradient, 0.0)
        move, memory = self._update.update(gradient, memory)
        after = nu + jnp.asarray(move)
        rests = jnp.all(gradient == 0) & (not self.has_momentum)
        return jnp.clip(after, -1.0, 1.0) if self.bounded else after, memory, here, rests
