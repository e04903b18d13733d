"""The searches: one heuristic per file."""

from sonimatch.search.adam import Adam
from sonimatch.search.gradient_descent import GradientDescent
from sonimatch.search.race import Race
from sonimatch.search.random import RandomSearch
from sonimatch.search.rmsprop import RMSProp

SEARCHES = (Race(), RMSProp(), Adam(), GradientDescent(), RandomSearch())
"""The race, which `match` runs where nothing else is said; RMSProp, the search of the published study; two more that
follow the gradient; and random search, the yardstick."""
