"""Picked rows: a few validation rows, put together from what was found of them, with Spark and without."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.errors import ComputeError, Problem


def drawn_and_wide(drawn: pa.Table, wide: pa.Table, n_places: int) -> pa.Table:
    """Return rows that were drawn and those at ``n_places`` of the widest certificates, each once, in id order.

    Raises: ComputeError where one of these places is not in the table.
    """
    if len(wide) != n_places:
        expected, got = f"{n_places} rows with the widest certificates", f"{len(wide)}"
        raise ComputeError(Problem("rows to audit", expected, got, "did the validation table change meanwhile?"))
    others = pc.invert(pc.is_in(wide["id"], value_set=drawn["id"].combine_chunks()))
    return pa.concat_tables([drawn, wide.filter(others)]).sort_by("id")


def with_positions(found: pa.Table, n_nearest: int) -> pa.Table:
    """Return the `NEIGHBORS` of all batches with a column position, from 1: the nearest of each train row.

    Ties go by validation id.
    """
    order = [("train_row", "ascending"), ("distance", "ascending"), ("validation_id", "ascending")]
    found = found.sort_by(order)
    rows = found["train_row"].to_numpy()
    first = np.searchsorted(rows, rows, side="left")
    position = np.arange(len(rows)) - first + 1
    return found.append_column("position", pa.array(position)).filter(pa.array(position <= n_nearest))
