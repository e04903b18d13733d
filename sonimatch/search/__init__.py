"""The searches: one heuristic per file."""

from sonimatch.search.adam import Adam
from sonimatch.search.cma_es import CMA_ES
from sonimatch.search.gradient_descent import GradientDescent
from sonimatch.search.les import LES
from sonimatch.search.levenberg_marquardt import LevenbergMarquardt
from sonimatch.search.race import Race
from sonimatch.search.random import RandomSearch
from sonimatch.search.rmsprop import RMSProp

SEARCHES = (
    Race(), RMSProp(), Adam(), GradientDescent(), LevenbergMarquardt(), CMA_ES(), LES(), RandomSearch()
)  # fmt: skip
"""The race, which `match` runs where nothing else is said; RMSProp, the search of the published study; three more that
follow slopes; two evolution strategies; and random search, the yardstick."""
