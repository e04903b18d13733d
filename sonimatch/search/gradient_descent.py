"""Plain gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

import optax

from sonimatch.search.descent import Descent


@dataclass(frozen=True, kw_only=True)
class GradientDescent(Descent):
    """`nu <- nu - learning_rate g`, in the coordinates and with the clipping of `Descent`.

    The step is proportional to the gradient, so that a rate which suits one loss may be far too long or too short for
    another. Shown in notebooks/optimizer.md.
    """

    learning_rate: float = 0.045
    name: str = "GradientDescent"

    @property
    def rule(self) -> optax.GradientTransformation:
        return optax.sgd(self.learning_rate)
