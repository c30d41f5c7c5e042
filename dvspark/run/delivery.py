"""Delivery: where a job's values go, and what goes with them, from its settings."""

from __future__ import annotations

from dvspark.config.job import JobConfig
from dvspark.run.request import Delivery, ShownColumn
from dvspark.tables.sinks.places import Place


def delivery_of(config: JobConfig) -> Delivery:
    """Return where a job's values go, and what goes with them."""
    shown = None if config.show is None else ShownColumn(config.train.reference(), config.show)
    place = Place(config.output.format, config.output.table)
    return Delivery(place, config.force, config.to_owners(), config.report, config.mlflow, shown)
