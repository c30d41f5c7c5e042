"""Changing: reads back the run whose validation rows change, and gives the rows after the change."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dvspark.config.sections import TableConfig
from dvspark.errors import ConfigError, DvsparkError
from dvspark.local.session import LocalSession
from dvspark.methods.options import ValueOptions
from dvspark.run.change.change import (
    Parent,
    option_problems,
    own_rows,
    parent_record,
    parent_rows,
    parent_totals,
)
from dvspark.run.request import Change
from dvspark.tables.sources.not_local import not_local
from dvspark.tables.sources.read import read_rows
from dvspark.tables.storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dvspark.local.session import Session


def read_parent(change: Change, options: ValueOptions, session: Session, storage: Storage) -> Parent:
    """Return the run that is to change.

    Raises: ConfigError if that run is not published, has other options, or is not as it was published.
    """
    if isinstance(session, LocalSession):
        raise not_local("parent", "a run of its own", f"a change of run {change.parent}")
    spark = session
    record = parent_record(storage, change.parent)
    if problems := option_problems(record, options, change.run_id):
        raise ConfigError(problems)
    rows = parent_rows(spark, storage.spark_path, record)
    parent = Parent(record, parent_totals(storage, record), rows, change.kind)
    return dataclasses.replace(parent, valued=_valued_by(parent, options, spark, storage))


def _valued_by(parent: Parent, options: ValueOptions, spark: SparkSession, storage: Storage) -> DataFrame | None:
    """Return the rows that the run to be changed has valued itself; None if they are no longer at hand."""
    try:
        reference = TableConfig.model_validate(parent.record["configuration"]["validation"]).reference()
        given = read_rows(spark, "validation", reference.of_validation(), options.target)
    except (ValidationError, DvsparkError):
        return None
    return None if isinstance(given, list) else own_rows(spark, storage.spark_path, parent, given)
