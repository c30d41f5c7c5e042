"""Utilities that are ready: the vote of neighbors, within a count or a radius, and any model of scikit-learn.

Each is made by a **factory**: a function that gets `GameTables` and its own parameters, and returns a utility. So are
utilities of users.
"""

from __future__ import annotations

from dvspark.games.utilities.game_tables import GameTables
from dvspark.games.utilities.knn import knn
from dvspark.games.utilities.model import model
from dvspark.games.utilities.threshold_knn import threshold_knn

__all__ = ["GameTables", "knn", "model", "threshold_knn"]
