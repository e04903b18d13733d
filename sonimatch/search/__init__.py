"""The searches: one heuristic per file."""

from sonimatch.search.rmsprop import RMSProp

SEARCHES = (RMSProp(),)
