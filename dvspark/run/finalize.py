"""Finalize: totals become values, standard errors and certificates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dvspark.engine.engines import Index, engine_of
from dvspark.engine.index.train_index import TrainKeys
from dvspark.logs import Stages
from dvspark.methods.finalize import certificate, finalize
from dvspark.methods.options import ValueOptions
from dvspark.run.checks.spot_checks import Summed
from dvspark.run.value import Valued
from dvspark.schemas import Float64s, Int64s
from dvspark.tables.sinks.task_values import by_task_table
from dvspark.tables.sinks.write import values_table


@dataclass(frozen=True)
class Finalized:
    """The values, also as the `VALUES` table in the order of the index.

    Owned rows are among ``values``, with 0, and not in the table. ``error_bound``: how far any value may be off; None
    where no bound is promised. ``by_task``: the `BY_TASK` table; None without tasks.
    """

    values: Float64s
    table: pa.Table
    error_bound: float | None
    by_task: pa.Table | None = None


def finalize_values(valued: Valued, run_id: str, index: Index, options: ValueOptions, stages: Stages) -> Finalized:
    """Return the values that follow from the totals."""
    totals, shared = valued.totals, valued.shared
    method, aggregate = options.declaration, options.aggregate
    with stages.stage("finalize") as now:
        values, standard_errors = finalize(totals, aggregate, method.score, with_errors=method.adds_up)
        if shared is not None:
            standard_errors = shared.standard_errors
        error_bound, row_bounds = certificate(totals, aggregate)
        known = engine_of(index).train_keys(index)
        players, valued_there, own = _players(known, options), valued_rows(known), _own_class(valued.own, aggregate)
        table = values_table(run_id, players, values, standard_errors, row_bounds, valued_there, own)
        by_task = None
        if valued.own.by_task:
            tables = [
                (of.task, values_table(run_id, players, *finalize(of.totals, aggregate), valued=valued_there))
                for of in valued.own.by_task
            ]
            by_task = by_task_table(tables, "bigint" if isinstance(tables[0][0], int) else "string")
        now.rows = len(table)
    return Finalized(values, table, error_bound if np.isfinite(error_bound) else None, by_task)


def _own_class(own: Summed, aggregate: str) -> Float64s | None:
    """Return the part of the values that comes from validation rows of the row's own label, if it was asked for."""
    if own.own_class is None or aggregate == "sum":
        return own.own_class
    return own.own_class / own.totals.n_validation


def valued_rows(known: TrainKeys) -> Int64s | None:
    """Return the positions of the rows that get values, or None if all do: owned rows get none."""
    owned = known.columns.owned
    return None if owned is None else np.flatnonzero(~owned)


def _players(known: TrainKeys, options: ValueOptions) -> pa.Table:
    """Return ids, labels and, where known, owners of all who are valued: training rows, or owners."""
    if options.players == "rows":
        return known.keys
    return pa.table({"id": known.owners, "label": pa.nulls(len(known.owners or []), known.keys["label"].type)})
