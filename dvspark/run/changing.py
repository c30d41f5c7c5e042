"""Changing: the run whose rows change, read back from where it was published, and what a run keeps to be such a one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import ValidationError

from dvspark.config.job import JobConfig, TableConfig
from dvspark.errors import ConfigError, DvsparkError
from dvspark.run.change import (
    Parent,
    changed_rows,
    hashed_rows,
    option_problems,
    own_rows,
    parent_record,
    parent_rows,
    parent_totals,
    rows_seal,
)
from dvspark.run.valuation import Valuation
from dvspark.runs.ledger import digest
from dvspark.schemas import VALIDATION_ROWS
from dvspark.tables.sinks.write import Counted
from dvspark.tables.sources.read import read_rows
from dvspark.tables.storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def parent_of(config: JobConfig, spark: SparkSession, storage: Storage) -> Parent | None:
    """Return the run that is to change, if one is.

    Raises: ConfigError when it is not published, was made with other options, or is not as it was published.
    """
    if config.parent is None or config.change is None:
        return None
    record = parent_record(storage, config.parent)
    if problems := option_problems(record, config.options(), config.run_id):
        raise ConfigError(problems)
    rows = parent_rows(spark, storage.spark_path, record)
    parent = Parent(record, parent_totals(storage, record), rows, config.change)
    return dataclasses.replace(parent, valued=_valued_by(parent, config, spark, storage))


def _valued_by(parent: Parent, config: JobConfig, spark: SparkSession, storage: Storage) -> DataFrame | None:
    """Return the rows that the run which is to change has valued itself, None where they are not at hand any more."""
    try:
        reference = TableConfig.model_validate(parent.record["configuration"]["validation"]).reference()
        given = read_rows(spark, "validation", reference.without_train_columns(), config.options().declaration.target)
    except (ValidationError, DvsparkError):
        return None
    return None if isinstance(given, list) else own_rows(spark, storage.spark_path, parent, given)


def rows_after(valuation: Valuation) -> DataFrame:
    """Return which validation rows the values rest on. Raises: InputError for a change that cannot be made."""
    rows = valuation.inputs.validation
    return hashed_rows(rows) if valuation.parent is None else changed_rows(valuation.parent, rows)


@contextmanager
def kept_for_changes(
    valuation: Valuation,
    tables: dict[str, pa.Table | Counted],
    documents: dict[str, str | bytes],
    record: dict[str, Any],
) -> Iterator[None]:
    """Add what a change of this run needs, if it may change: its totals and validation rows, sealed in the record."""
    if valuation.validation_rows is None:
        yield
        return
    documents["totals.npz"] = totals = valuation.kept_totals().content()
    record["totals_sha256"] = digest(totals)
    rows = valuation.validation_rows.persist()  # else the table is read once more
    try:
        record["validation_rows"] = rows_seal(rows)
        tables[VALIDATION_ROWS.name] = Counted(rows, valuation.summed.n_validation)
        yield
    finally:
        rows.unpersist()
