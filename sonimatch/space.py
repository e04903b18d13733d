"""Parameter spaces: the unit cube `[0, 1]^P` and the physical values that a synthesizer understands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

Warp = Literal["linear", "log", "exp"]


@dataclass(frozen=True)
class ParamSpace:
    """The named parameters of a synthesizer, each with a range, a warp and a unit.

    A point is `theta [..., P]` in the unit cube.
    With the *linear* warp the physical value is `low + (high - low) * theta`, with the *log* warp it is
    `low * (high / low) ** theta`, which needs `low > 0`, and with the *exp* warp
    `low + (high - low) * log(1 + (e - 1) * theta)`, which on a range of width 1 is what Faust's own pages do.
    `unscaled(theta)` are the coordinates before they are scaled to the cube, values or their logarithms; `scaled` is
    the way back. With log or linear warps, these are the four reparametrisations of table I in Han, Lostanlen and
    Lagrange, "Learning to solve inverse problems for perceptual sound matching", 2024.
    `step` is the distance of two settings of a slider, 0 where there is none; `quantised` parameters have no values
    between, and no gradient.
    Shown in notebooks/faust_to_jax.md.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    warp: tuple[Warp, ...]
    unit: tuple[str, ...]
    default: tuple[float, ...]
    step: tuple[float, ...] = ()
    quantised: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", self.step or (0.0,) * len(self.names))
        object.__setattr__(self, "quantised", self.quantised or (False,) * len(self.names))
        for quantity in ("low", "high", "warp", "unit", "default", "step", "quantised"):
            if len(getattr(self, quantity)) != len(self.names):
                raise ValueError(f"{quantity} must have {len(self.names)} entries, one for each name")
        for name, low, high, warp in zip(self.names, self.low, self.high, self.warp, strict=True):
            if self.names.count(name) > 1:
                raise ValueError(f"parameter {name!r}: there are {self.names.count(name)} of this name")
            if not (math.isfinite(low) and math.isfinite(high)):
                raise ValueError(f"parameter {name!r}: the range [{low:g}, {high:g}] is not finite")
            if not low < high:
                raise ValueError(f"parameter {name!r}: the range [{low:g}, {high:g}] is empty")
            if warp not in get_args(Warp):
                raise ValueError(f"parameter {name!r}: warp {warp!r} is not one of 'linear', 'log', 'exp'")
            if warp == "log" and low <= 0:
                raise ValueError(f"parameter {name!r}: the log warp needs low > 0, not {low:g}")
        for name, step, quantised in zip(self.names, self.step, self.quantised, strict=True):
            if not 0 <= step < math.inf or (quantised and step == 0):
                raise ValueError(
                    f"parameter {name!r}: the step must be positive, or 0 where there is none, not {step:g}"
                )

    def __len__(self) -> int:
        return len(self.names)

    def _columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        is_log = np.array([warp == "log" for warp in self.warp], bool)
        low, high = np.array(self.low), np.array(self.high)
        return (
            np.where(is_log, np.log(np.where(is_log, low, 1.0)), low),
            np.where(is_log, np.log(np.where(is_log, high, 1.0)), high),
            is_log,
        )

    def _bent(self, x: jax.Array, bend: Callable[[jax.Array], jax.Array]) -> jax.Array:
        """The columns of the exp warp, bent."""
        return jnp.where(np.array([warp == "exp" for warp in self.warp]), bend(x), x) if "exp" in self.warp else x

    def unscaled(self, theta: ArrayLike) -> jax.Array:
        """`[..., P]`: the value of each parameter, its natural logarithm under the log warp, at `theta [..., P]`."""
        start, stop, _ = self._columns()
        theta = 1.0 * jnp.asarray(theta)
        start, stop = start.astype(theta.dtype), stop.astype(theta.dtype)
        return self._bent(theta, lambda u: jnp.log1p((math.e - 1) * u)) * (stop - start) + start

    def scaled(self, coordinate: ArrayLike) -> jax.Array:
        """The inverse of `unscaled`: `theta [..., P]` of `coordinate [..., P]`."""
        start, stop, _ = self._columns()
        coordinate = 1.0 * jnp.asarray(coordinate)
        start, stop = start.astype(coordinate.dtype), stop.astype(coordinate.dtype)
        return self._bent((coordinate - start) / (stop - start), lambda u: jnp.expm1(u) / (math.e - 1))

    def to_physical(self, theta: ArrayLike) -> jax.Array:
        """Physical values `[..., P]` of `theta [..., P]`; outside the cube the value rests at the nearer end.

        The gradient there is zero, as in the published study. Quantised parameters are rounded to their grid.
        """
        is_log = self._columns()[2]
        theta = jnp.asarray(theta)
        theta = jnp.where((theta >= 0) & (theta <= 1), theta, jnp.where(theta > 1, 1.0, 0.0).astype(theta.dtype))
        line = self.unscaled(theta)
        value = jnp.where(is_log, jnp.exp(jnp.where(is_log, line, 0.0)), line)
        return jnp.where(np.array(self.quantised), self._nearest(value), value) if any(self.quantised) else value

    def _nearest(self, value: jax.Array) -> jax.Array:
        """The nearest setting of each slider; the value itself where it has no step."""
        low, high, step = (np.array(x) for x in (self.low, self.high, self.step))
        last = np.floor((high - low) / np.where(step, step, 1.0) + 1e-9)
        grid = low + jnp.clip(jnp.rint((value - low) / np.where(step, step, 1.0)), 0, last) * step
        return jnp.where(step > 0, grid, value).astype(value.dtype)

    def exact(self, theta: ArrayLike) -> jax.Array:
        """As `to_physical`, in double: a setting of a slider, an end and the default are what they were before `theta`
        was rounded, so that 7 does not come out as 6.9999999.

        To be called where JAX computes in double.
        """
        theta = jnp.asarray(theta)
        start, stop, _ = self._columns()
        rounding = np.maximum(np.abs(start), np.abs(stop)) / (stop - start) + 1  # of `to_unit`, in units of epsilon
        value = self.to_physical(theta.astype(float))
        for known in (self._nearest(value), *(jnp.asarray(x, float) for x in (self.default, self.low, self.high))):
            near = jnp.abs(self.to_unit(known) - theta) <= jnp.finfo(theta.dtype).eps * rounding
            value = value + jax.lax.stop_gradient(jnp.where(near, known - value, 0.0))
        return value

    def to_unit(self, value: ArrayLike) -> jax.Array:
        """The inverse of `to_physical` for values inside the range; `value [..., P]`."""
        is_log = self._columns()[2]
        value = jnp.asarray(value, dtype=jnp.result_type(float))
        return self.scaled(jnp.where(is_log, jnp.log(jnp.where(is_log, value, 1.0)), value))

    def on_grid(self, theta: ArrayLike) -> jax.Array:
        """The points `theta [..., P]` with each quantised parameter moved to its nearest setting."""
        theta = jnp.asarray(theta)
        return jnp.where(np.array(self.quantised), self.to_unit(self.to_physical(theta)).astype(theta.dtype), theta)

    def check(self, theta: ArrayLike, low: float = -1.0, high: float = 2.0) -> None:
        """Raise ValueError when a unit value in `theta [..., P]` is NaN, below `low` or above `high`.

        A search may end a little outside the cube; what lies far outside is a physical value in the wrong place.
        Values that JAX traces are not known and pass.
        """
        if isinstance(theta, Tracer) or not len(self):
            return
        values = np.asarray(theta, np.float64).reshape(-1, len(self))
        wrong = ~((values >= low) & (values <= high))
        if wrong.any():
            trial, column = (int(index[0]) for index in wrong.nonzero())
            name, value, unit = self.names[column], values[trial, column], self.unit[column]
            hint = f"; is it in {unit}?" if unit else ""
            raise ValueError(
                f"{name} = {value:g} is no unit value: these run from 0 to 1 over the range {self.low[column]:g} to "
                f"{self.high[column]:g} {unit}".rstrip()
                + f"{hint}; `space.theta({{name: value}})` makes them of physical ones"
            )

    def theta(self, values: Mapping[str, float]) -> jax.Array:
        """The point `theta [P]` of named physical values; parameters that are not named keep their default.

        Raises ValueError for an unknown name or a value out of range.
        """
        for name in values:
            if name not in self.names:
                near = get_close_matches(name, self.names, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"no parameter {name!r}{hint} (there are: {', '.join(self.names)})")
        point = [float(values.get(name, default)) for name, default in zip(self.names, self.default, strict=True)]
        for name, value, low, high, unit in zip(self.names, point, self.low, self.high, self.unit, strict=True):
            if not low <= value <= high:
                raise ValueError(f"{name} = {value:g} is out of range: {low:g} to {high:g} {unit}".rstrip())
        return self.to_unit(np.array(point))

    def sample(self, key: jax.Array, n: int) -> jax.Array:
        """`n` points drawn uniformly from the unit cube, or from the grid of quantised parameters, `[n, P]`."""
        theta = jax.random.uniform(key, (n, len(self)))
        if not any(self.quantised):
            return theta
        low, high, step = (np.array(x) for x in (self.low, self.high, self.step))
        settings = np.floor((high - low) / np.where(step, step, 1.0) + 1e-9) + 1
        drawn = self.to_unit(low + jnp.minimum(jnp.floor(theta * settings), settings - 1) * step)
        return jnp.where(np.array(self.quantised), drawn.astype(theta.dtype), theta)
