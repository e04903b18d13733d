"""Levenberg and Marquardt: least squares between features, by steps between Gauss and Newton's and the gradient's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sonimatch.types import Objective, Trajectory


class _State(NamedTuple):
    trial: jax.Array  # [P], the next point to look at
    theta: jax.Array  # [P], the point that the trial is a step from
    energy: jax.Array  # its half sum of squares, infinity before there is one
    gradient: jax.Array  # [P]
    curvature: jax.Array  # [P, P]
    damping: jax.Array


@dataclass(frozen=True, kw_only=True)
class LevenbergMarquardt:
    """`theta + s` with `(JᵀJ + μ diag JᵀJ) s = -Jᵀr`: damped steps of Gauss and Newton, inside the cube.

    What is minimised is `½ ||r||²`, half the mean square of `r(theta)`, the candidate's features less the target's,
    summed over the arrays of a feature, whatever the loss makes of them: of L1_Spec it is the square where the loss has
    the absolute value, and of SIMSE_Spec and DTW_Envelope it has neither the scale nor the shift that these forgive.
    A trial is accepted if it lowers that, for this is what the step promises, and the damping μ is divided by 3;
    otherwise multiplied by 4. The loss is recorded at every trial, and decides which point is the best.

    `J` is a derivative in forward mode: a value with its slopes, `1 + P` evaluations, is a step. Parameters at a wall,
    and pushed against it, stay there; the others move, and are clipped to the cube (projected steps, C. Kanzow, N.
    Yamashita and M. Fukushima, "Levenberg–Marquardt methods with strong local convergence properties for solving
    nonlinear equations with convex constraints", 2004). Where a step is shorter than `tolerance` in every parameter, or
    nothing has a slope, the search begins again at a point drawn uniformly.

    `damping`, the first μ, and `tolerance` are positive, else `ValueError`. `grad_norm` is that of `½ ||r||²` by theta.
    Source: K. Levenberg 1944, D. Marquardt 1963. Shown in notebooks/search_that_solves.md.
    """

    damping: float = 1e-2
    tolerance: float = 3e-3
    name: str = "LevenbergMarquardt"

    def __post_init__(self) -> None:
        for setting in ("damping", "tolerance"):
            if not getattr(self, setting) > 0:
                raise ValueError(f"{setting} is {getattr(self, setting)}; it must be positive")

    def cost(self, n_parameters: int) -> int:
        return 1 + n_parameters

    def init(self, theta: jax.Array, key: jax.Array) -> Any:
        return self._begun(theta)

    def _begun(self, theta: jax.Array) -> _State:
        energy, damping = (jnp.full_like(theta[0], number) for number in (jnp.inf, self.damping))
        return _State(theta, theta, energy, jnp.zeros_like(theta), jnp.eye(theta.size, dtype=theta.dtype), damping)

    def step(self, state: _State, objective: Objective, key: jax.Array) -> tuple[_State, Trajectory]:
        def looked(theta: jax.Array) -> Any:
            residual, value = objective.residual(theta)
            return residual, (residual, value)

        jacobian, (residual, value) = jax.jacfwd(looked, has_aux=True)(state.trial)
        energy, gradient, curvature = residual @ residual / 2, residual @ jacobian, jacobian.T @ jacobian
        here = Trajectory(state.trial, value, jnp.linalg.norm(gradient))
        finite = jnp.isfinite(energy) & jnp.isfinite(gradient).all() & jnp.isfinite(curvature).all()
        accepted = finite & (energy < state.energy)
        lower = _State(state.trial, state.trial, energy, gradient, curvature, jnp.maximum(state.damping / 3, 1e-6))
        higher = state._replace(damping=state.damping * 4)
        state = jax.tree.map(lambda *pair: jnp.where(accepted, *pair), lower, higher)
        state = state._replace(trial=jnp.clip(state.theta + self._move(state), 0, 1))
        rests = jnp.abs(state.trial - state.theta).max() < self.tolerance
        again = self._begun(jax.random.uniform(key, state.theta.shape, state.theta.dtype))
        return jax.tree.map(lambda *pair: jnp.where(rests, *pair), again, state), here

    @staticmethod
    def _move(state: _State) -> jax.Array:
        """The damped step of the parameters that are free, in units of the root of each curvature."""
        theta, gradient, scale = state.theta, state.gradient, jnp.sqrt(jnp.diag(state.curvature))
        held = ((theta <= 0) & (gradient > 0)) | ((theta >= 1) & (gradient < 0)) | (scale == 0)
        unit = jnp.where(held, 1, scale)
        coupled = jnp.where(held[:, None] | held, 0, state.curvature / jnp.outer(unit, unit))
        system = coupled + jnp.diag(jnp.where(held, 1, state.damping))
        return jnp.linalg.solve(system, jnp.where(held, 0, -gradient / unit)) / unit
