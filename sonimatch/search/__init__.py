"""The searches: one heuristic per file."""

from sonimatch.search.adam import Adam
from sonimatch.search.gradient_descent import GradientDescent
from sonimatch.search.random import RandomSearch
from sonimatch.search.rmsprop import RMSProp

SEARCHES = (RMSProp(), Adam(), GradientDescent(), RandomSearch())
"""RMSProp, the search of the published study; two more that follow the gradient; and random search, the yardstick."""
