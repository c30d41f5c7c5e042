"""Rows as a utility gets them: labels, players, and what a job's settings say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from dvspark.games.utilities.game_tables import Answers, GameTables
from dvspark.methods.game_parameters import PLAYERS, GameParameters
from dvspark.schemas import ChunkArrays, Int32s, Int64s, TrainArrays, columns


def answers_of(labels: pa.Array) -> Answers:
    """Return labels as a utility gets them: numbers to predict, integers or texts, (n,)."""
    targets = columns.target_numbers(labels)
    return np.array(columns.canonical_labels(labels).to_pylist()) if targets is None else targets


def players_in(owners: Int32s | None, given: Mapping[str, Any]) -> Int64s | None:
    """Return the number of each row's player, None where every row is one."""
    if given[PLAYERS.name] == "rows" or owners is None:
        return None
    return owners.astype(np.int64)


def utility_settings(given: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """Return what a job's settings say to utilities of neighbors."""
    return {"metric": metric, **{name: given[name] for name in ("k", "radius", "n_classes")}}


def tables_of(
    train: TrainArrays, points: ChunkArrays, answers: tuple[Answers, Answers], parameters: GameParameters
) -> GameTables:
    """Return the tables that a utility gets, with these labels."""
    owners = players_in(train.columns.owners, parameters.values)
    return GameTables(train.x, answers[0], points.x, answers[1], owners)
