"""Adam: RMSProp with momentum and bias correction."""

from __future__ import annotations

from dataclasses import dataclass

import optax

from sonimatch.search.descent import Descent


@dataclass(frozen=True, kw_only=True)
class Adam(Descent):
    """`m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g²`, `nu <- nu - learning_rate m̂ / (sqrt(v̂) + eps)`.

    `m̂ = m / (1 - b1^t)` and `v̂ = v / (1 - b2^t)` at step `t`; coordinates and clipping are those of `Descent`.
    Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015. Shown in notebooks/optimizer.md.
    """

    learning_rate: float = 0.045
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    name: str = "Adam"

    def __post_init__(self) -> None:
        super().__post_init__()
        for setting in ("b1", "b2"):
            if not 0 <= getattr(self, setting) < 1:
                raise ValueError(f"{setting} must be in [0, 1), not {getattr(self, setting)}")

    @property
    def rule(self) -> optax.GradientTransformation:
        return optax.adam(self.learning_rate, b1=self.b1, b2=self.b2, eps=self.eps)

    @property
    def has_momentum(self) -> bool:
        return self.b1 > 0
