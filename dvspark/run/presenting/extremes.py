"""Extremes: the nearest validation rows of the rows with the lowest and highest values, which the report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from dvspark.engine.engines import Index, engine_of
from dvspark.engine.points import nearest_validation_rows
from dvspark.logs import Stages
from dvspark.methods.options import ValueOptions
from dvspark.report.browse import positions_with_neighbors
from dvspark.run.finalize import valued_rows

if TYPE_CHECKING:
    from dvspark.local.rows import Frame

# The report shows so many nearest validation rows for each row that it lists.
EXTREME_NEIGHBORS = 5


def find_extremes(
    table: pa.Table,
    review: pa.Table | None,
    validation_rows: Frame,
    index: Index,
    options: ValueOptions,
    stages: Stages,
) -> pa.Table:
    """Return the nearest validation rows of the rows that the report shows first; empty if owners are valued.

    These are the rows with the lowest and highest values; after a review, those on which it decided most surely.
    """
    if options.players != "rows":
        return pa.table({})
    with stages.stage("extremes") as now:
        known = engine_of(index).train_keys(index)
        valued, places = (
            valued_rows(known),
            positions_with_neighbors(table, review),
        )  # the table is in the index's order
        rows = (places if valued is None else valued[places]).tolist()
        listed = engine_of(index).listed_rows(index, rows)
        found = nearest_validation_rows(validation_rows, listed, options.metric, EXTREME_NEIGHBORS)
        ids = known.keys["id"].take(found["train_row"])
        now.rows = len(found)
    return found.append_column("train_id", ids)
