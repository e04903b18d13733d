"""The searches: one heuristic per file."""

from sonimatch.search.random import RandomSearch
from sonimatch.search.rmsprop import RMSProp

SEARCHES = (RMSProp(), RandomSearch())
"""RMSProp, the search of the published study, and random search, the yardstick."""
