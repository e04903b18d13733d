"""Every search starts a millionth of the range away: what a chapter says and a test asserts must not hang on last bits.

`make robust` runs this file before the first cell of each notebook, and as a plugin of pytest (`-p book.moved`). Tests
marked `told_start` put another program at the same start and compare the two: there nothing is moved.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from sonimatch.search import SEARCHES

_moving = True
MOVE = 1e-6  # of a parameter's range: beyond the rounding of single precision, and far below what anybody hears


def _moved(begin: Any) -> Any:
    def moved(self: Any, theta: Any, key: Any) -> Any:
        move = jnp.where(theta < 0.5, MOVE, -MOVE) if _moving else jnp.zeros_like(theta)
        return begin(self, theta + move.astype(theta.dtype), key)

    return moved


for _name in ("init", "asks"):
    for _owner in {kind for search in SEARCHES for kind in type(search).__mro__ if _name in vars(kind)}:
        setattr(_owner, _name, _moved(getattr(_owner, _name)))


def pytest_runtest_setup(item: Any) -> None:
    global _moving
    _moving = item.get_closest_marker("told_start") is None
