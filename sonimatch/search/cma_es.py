"""CMA-ES: an evolution strategy that learns the covariance of good steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sonimatch.search.evolution import Evolution


@dataclass(frozen=True, kw_only=True)
class CMA_ES(Evolution):
    """Covariance matrix adaptation: `theta ~ mean + σ N(0, C)`, of which mean, `σ` and `C` follow the better half.

    The ranks of values are all it uses, so that no scale of the loss matters (N. Hansen and A. Ostermeier, "Completely
    derandomized self-adaptation in evolution strategies", 2001; the form of evosax, with negative weights). Settings
    are those of `Evolution`. Shown in notebooks/search_that_solves.md.
    """

    name: str = "CMA_ES"

    @property
    def algorithm(self) -> str:
        return "CMA_ES"

    def deviation(self, state: Any) -> np.ndarray:
        return np.asarray(state.std * np.sqrt(np.diag(state.C)))
