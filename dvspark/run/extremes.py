"""Extremes: the lowest and highest valued rows → their nearest validation rows, which the report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from dvspark.engine.engines import Index, engine_of
from dvspark.engine.replicated import replicated
from dvspark.logs import Stages
from dvspark.methods.options import ValueOptions
from dvspark.report.rows import listed_positions

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# How many of the nearest validation rows the report shows for each of the rows it lists.
EXTREME_NEIGHBORS = 5


def find_extremes(
    table: pa.Table, validation_rows: DataFrame, index: Index, options: ValueOptions, stages: Stages
) -> pa.Table:
    """Return the nearest validation rows of the extremes of a table of values; none where owners are valued."""
    if options.declaration.players != "rows":
        return pa.table({})
    with stages.stage("extremes") as now:
        rows = listed_positions(table).tolist()  # the table is in the index's order
        listed = engine_of(index).listed_rows(index, rows)
        found = replicated.nearest_validation_rows(validation_rows, listed, options.metric, EXTREME_NEIGHBORS)
        ids = engine_of(index).train_keys(index).keys["id"].take(found["train_row"])
        now.rows = len(found)
    return found.append_column("train_id", ids)
