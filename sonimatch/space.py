"""Parameter spaces: the unit cube `[0, 1]^P` and the physical values that a synthesizer understands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

Warp = Literal["linear", "log"]


@dataclass(frozen=True)
class ParamSpace:
    """The named parameters of a synthesizer, each with a range, a warp and a unit.

    A point is `theta [..., P]` in the unit cube.
    With the *linear* warp the physical value is `low + (high - low) * theta`, with the *log* warp it is
    `low * (high / low) ** theta`, which needs `low > 0`.
    Shown in notebooks/faust_to_jax.md.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    warp: tuple[Warp, ...]
    unit: tuple[str, ...]
    default: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.names:
            raise ValueError("a parameter space needs at least one parameter; this one has none")
        for quantity in ("low", "high", "warp", "unit", "default"):
            if len(getattr(self, quantity)) != len(self.names):
                raise ValueError(f"{quantity} must have {len(self.names)} entries, one for each name")
        for name, low, high, warp in zip(self.names, self.low, self.high, self.warp, strict=True):
            if self.names.count(name) > 1:
                raise ValueError(f"parameter {name!r}: there are {self.names.count(name)} of this name")
            if not (math.isfinite(low) and math.isfinite(high)):
                raise ValueError(f"parameter {name!r}: the range [{low:g}, {high:g}] is not finite")
            if not low < high:
                raise ValueError(f"parameter {name!r}: the range [{low:g}, {high:g}] is empty")
            if warp not in ("linear", "log"):
                raise ValueError(f"parameter {name!r}: warp {warp!r} is not one of 'linear', 'log'")
            if warp == "log" and low <= 0:
                raise ValueError(f"parameter {name!r}: the log warp needs low > 0, not {low:g}")

    def __len__(self) -> int:
        return len(self.names)

    def _columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        is_log = np.array([warp == "log" for warp in self.warp])
        low, high = np.array(self.low), np.array(self.high)
        return (
            np.where(is_log, np.log(np.where(is_log, low, 1.0)), low),
            np.where(is_log, np.log(np.where(is_log, high, 1.0)), high),
            is_log,
        )

    def to_physical(self, theta: ArrayLike) -> jax.Array:
        """Physical values `[..., P]` of `theta [..., P]`; outside the cube the value rests at the nearer end.

        The gradient there is zero, as in the published study.
        """
        start, stop, is_log = self._columns()
        theta = jnp.asarray(theta)
        theta = jnp.where((theta >= 0) & (theta <= 1), theta, jnp.where(theta > 1, 1.0, 0.0).astype(theta.dtype))
        start, stop = start.astype(theta.dtype), stop.astype(theta.dtype)
        line = start + (stop - start) * theta
        return jnp.where(is_log, jnp.exp(jnp.where(is_log, line, 0.0)), line)

    def to_unit(self, value: ArrayLike) -> jax.Array:
        """The inverse of `to_physical` for values inside the range; `value [..., P]`."""
        start, stop, is_log = self._columns()
        value = jnp.asarray(value, dtype=jnp.result_type(float))
        start, stop = start.astype(value.dtype), stop.astype(value.dtype)
        return (jnp.where(is_log, jnp.log(jnp.where(is_log, value, 1.0)), value) - start) / (stop - start)

    def check(self, theta: ArrayLike, low: float = -1.0, high: float = 2.0) -> None:
        """Raise ValueError when a unit value in `theta [..., P]` is NaN, below `low` or above `high`.

        A search may end a little outside the cube; what lies far outside is a physical value in the wrong place.
        Values that JAX traces are not known and pass.
        """
        if isinstance(theta, Tracer):
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
        """`n` points drawn uniformly from the unit cube, `[n, P]`."""
        return jax.random.uniform(key, (n, len(self)))
