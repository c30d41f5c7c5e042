"""Subsets: rows that are chosen, again and again, while a softmax head trains on those chosen so far."""

from __future__ import annotations

from dvspark.subsets.criteria import ADAPTIVE, CRITERIA, FULL
from dvspark.subsets.training import SubsetTraining, TrainedOnSubset

__all__ = ["ADAPTIVE", "CRITERIA", "FULL", "SubsetTraining", "TrainedOnSubset"]
