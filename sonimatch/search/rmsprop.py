"""RMSProp, the search of the published study."""

from __future__ import annotations

from dataclasses import dataclass

import optax

from sonimatch.search.descent import Descent


@dataclass(frozen=True, kw_only=True)
class RMSProp(Descent):
    """Gradient descent with each step divided by the root mean square of past gradients.

    `v <- decay v + (1 - decay) g²` and `nu <- nu - learning_rate g / sqrt(v + eps)` (Tieleman and Hinton 2012), in the
    coordinates `nu` and with the clipping of `Descent`.
    Without bias correction the first step has length `learning_rate / sqrt(1 - decay)` in every parameter,
    0.142 with the published settings, whatever the gradient.
    Shown in notebooks/one_match.md.
    """

    learning_rate: float = 0.045
    decay: float = 0.9
    eps: float = 1e-8
    name: str = "RMSProp"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must be in [0, 1), not {self.decay}")

    @property
    def rule(self) -> optax.GradientTransformation:
        return optax.rmsprop(self.learning_rate, decay=self.decay, eps=self.eps)
