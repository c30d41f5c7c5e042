"""Finalize: totals become values, standard errors and certificates."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from dvspark.engine.engines import Index, engine_of
from dvspark.engine.index.train_index import TrainKeys
from dvspark.logs import Stages
from dvspark.methods.finalize import certificate, finalize
from dvspark.methods.options import ValueOptions
from dvspark.schemas import Float64s, Partial
from dvspark.tables.sinks.write import values_table


@dataclass(frozen=True)
class Finalized:
    """The values, also as the `VALUES` table in the order of the index; ``error_bound`` holds for all of them."""

    values: Float64s
    table: pa.Table
    error_bound: float


def finalize_totals(totals: Partial, run_id: str, index: Index, options: ValueOptions, stages: Stages) -> Finalized:
    """Return the values that follow from the totals."""
    method, aggregate = options.declaration, options.aggregate
    with stages.stage("finalize") as now:
        values, standard_errors = finalize(totals, aggregate, method.score, with_errors=method.adds_up)
        error_bound, row_bounds = certificate(totals, aggregate)
        keys = _players(engine_of(index).train_keys(index), options)
        table = values_table(run_id, keys, values, standard_errors, row_bounds)
        now.rows = len(values)
    return Finalized(values, table, error_bound)


def _players(known: TrainKeys, options: ValueOptions) -> pa.Table:
    """Return ids, labels and, where known, owners of all who are valued: training rows, or owners."""
    if options.declaration.players == "rows":
        return known.keys
    return pa.table({"id": known.owners, "label": pa.nulls(len(known.owners or []), known.keys["label"].type)})
