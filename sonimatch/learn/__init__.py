"""Learning to match: the metric that a feature gives to parameters, and what is computed once and kept."""

from sonimatch.learn.data import DataError, Kept
from sonimatch.learn.metric import Eigen, eigen, metric, metrics, squared_length

__all__ = ["DataError", "Eigen", "Kept", "eigen", "metric", "metrics", "squared_length"]
