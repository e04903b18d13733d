"""LES: an evolution strategy whose weights and rates are a small network, learned on other problems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sonimatch.search.evolution import Evolution


@dataclass(frozen=True, kw_only=True)
class LES(Evolution):
    """Learned evolution strategy: `theta ~ N(mean, diag(σ²))`, of which attention over ranks and standardised values
    makes weights, and a network over paths and time the rates at which mean and `σ` follow.

    R. Lange et al., "Discovering evolution strategies via meta-black-box optimization", 2023; the network is the one
    that evosax ships, trained again by its author, not that of the paper. Settings are those of `Evolution`.
    Shown in notebooks/search_that_solves.md.
    """

    name: str = "LES"

    @property
    def algorithm(self) -> str:
        return "LearnedES"

    def deviation(self, state: Any) -> np.ndarray:
        return np.asarray(state.std)
