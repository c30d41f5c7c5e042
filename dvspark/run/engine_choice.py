"""Engines: in what a job runs, Spark or this machine alone, and why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dvspark.config.job import JobConfig
from dvspark.engine.planning.calibrate import PointCost, calibrate
from dvspark.engine.planning.cluster import read_hosts
from dvspark.engine.planning.estimate import local_seconds, not_counted
from dvspark.engine.planning.plan import make_plan
from dvspark.engine.planning.sizes import Sizes
from dvspark.errors import ComputeError, ConfigError, Problem
from dvspark.local.session import LocalSession, open_local_session
from dvspark.logs import log_event
from dvspark.logs.redact import redacted
from dvspark.spark.defaults import default_master
from dvspark.spark.session import has_active_session, open_session
from dvspark.tables.sources.formats import reader_of
from dvspark.tables.sources.metadata import Preview, preview
from dvspark.tables.sources.not_local import NotLocalError, not_local_problem
from dvspark.tables.sources.pinned import VERSIONED
from dvspark.tables.sources.read import read_rows
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.rows import Rows
from dvspark.units import show_seconds

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dvspark.local.session import Session

# Longer jobs are Spark's, where it may have more than this machine.
MOST_SECONDS = 60.0
# Of so few pairs of a training row and a validation row no kernel is measured, which takes two seconds.
FEW_PAIRS = 2_000_000
# What one of these takes at most, of one core, but for methods whose kernels are slow.
PAIR_SECONDS = 2e-6


@contextmanager
def open_engine(config: JobConfig) -> Iterator[Session]:
    """Yield in what the job runs, which ends with the block if it was started here; the log says which and why.

    Raises: ConfigError where that is not to be had, or the job asks for what it cannot do.
    """
    with open_local_session() as local:
        name, why = chosen(config, local)
        log_event(f"engine    {name}: {why}", engine=name, reason=why)
        if name == "local":
            local.workers.start(1)  # it loads what it needs while the tables are read
            yield local
            return
    with open_session(config.spark.master, config.spark.conf) as spark:
        yield spark


@contextmanager
def open_spark(config: JobConfig) -> Iterator[SparkSession]:
    """Yield a session for what only Spark does. Raises: ConfigError for ``engine: local``."""
    if config.engine == "local":
        expected, hint = "spark or auto for this command", "leave it out"
        raise ConfigError(Problem("engine", expected, "local", hint))
    with open_session(config.spark.master, config.spark.conf) as spark:
        yield spark


def chosen(config: JobConfig, local: LocalSession) -> tuple[str, str]:
    """Return the engine of a job, "local" or "spark", and why; the first clause that holds decides.

    Raises: ConfigError for ``engine: local`` and a job that only Spark does.
    Cost: a listing and the footers of both tables, some rows of them, and of larger ones `calibrate`.
    """
    problems = obstacles(config)
    if config.engine != "auto":  # 1. it is asked for
        if config.engine == "local" and problems:
            raise ConfigError(problems)
        return config.engine, "it is set"
    if (why := _spark_is_there(config)) is not None:  # 2. Spark is there, or was asked for
        return "spark", why
    if problems:  # 3. only Spark can do it
        return "spark", f"{problems[0].where}: {problems[0].got}"
    try:
        return _by_size(config, local)
    except NotLocalError as error:
        return "spark", f"{error.problems[0].where}: {error.problems[0].got}"
    except ComputeError:  # of a kernel that does not run, or a plan that does not fit; both is told where it is done
        return "spark", "the index does not fit this machine"


def obstacles(config: JobConfig) -> list[Problem]:
    """Return what of a job only Spark can do, as far as the settings tell."""
    problems = [] if config.plan != "sharded" else [not_local_problem("plan", "replicated, or auto", "sharded")]
    if config.parent is not None:
        problems.append(not_local_problem("parent", "a run of its own", f"a change of run {config.parent}"))
    for side, table in (("train", config.train), ("owned", config.owned), ("validation", config.validation)):
        if table is not None:
            problems += reader_of(side, table.reference()).only_spark()
    if config.output.table is not None and config.output.format != "iceberg":
        got = f"table {config.output.table} of Spark's catalogs"
        problems.append(not_local_problem("output.table", "none, or with format: iceberg", got))
    return problems


def _spark_is_there(config: JobConfig) -> str | None:
    """Return why a job is Spark's whatever its size, None if nothing says so."""
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        return "spark-submit has started this process"
    if "SPARK_REMOTE" in os.environ:
        return "SPARK_REMOTE is set"
    if config.spark.master is not None:
        return f"spark.master is {config.spark.master}"
    if config.spark.conf:
        return "spark.conf has settings of Spark"
    if has_active_session():
        return "a session is active"
    named = default_master()
    return None if named is None else f"{named[1]} names {redacted(named[0])}"


def _by_size(config: JobConfig, local: LocalSession) -> tuple[str, str]:
    """Return the engine that suits a job's size. Raises: NotLocalError for tables that only Spark reads."""
    target, sides = config.options().target, list[Preview]()
    references = {"train": config.train_reference()}
    if (of_points := config.validation_reference()) is not None:
        references["validation"] = of_points
    for side, reference in references.items():
        found = _preview(local, side, reference, target)
        if found is None:
            # A connector of Spark's may read what files alone do not tell; the rest needs no Spark to be told.
            by_connector = reference.format in VERSIONED and find_spec("pyspark") is not None
            return "spark" if by_connector else "local", f"the {side} table cannot be valued as it is"
        sides.append(found)
    train, validation = sides[0], sides[-1]
    sizes = Sizes.of(
        config.options(),
        n_train=train.n_rows,
        n_validation=validation.n_rows,
        n_features=train.n_features,
        dtype=max(train.dtype, validation.dtype),
    )
    hosts = read_hosts(local, config.host_memory)
    plan = make_plan(sizes, hosts, chunk_rows=config.chunk_rows, asked=config.plan)
    if plan.name == "sharded":
        return "spark", plan.reason
    point = PointCost(0.0, PAIR_SECONDS)
    if train.n_rows * validation.n_rows > FEW_PAIRS:
        n_labels = max(train.n_labels, validation.n_labels)
        point = calibrate(sizes, config.options(), n_labels=n_labels, chunk_rows=config.chunk_rows)
    seconds = local_seconds(plan, sizes, hosts, point)
    takes = f"about {show_seconds(seconds)} for {train.n_rows:,} rows by {validation.n_rows:,}"
    if left_out := not_counted():
        takes += f"; not counted: {left_out}"
    return ("local" if seconds < MOST_SECONDS else "spark"), takes


def _preview(local: LocalSession, side: str, reference: TableReference, target: str) -> Preview | None:
    """Return what a table tells of its size, None if there is something wrong with it."""
    try:
        rows = read_rows(local, side, reference, target)
    except NotLocalError:
        raise
    except ConfigError as error:  # the library of a format, for which Spark may have a connector
        raise NotLocalError(error.problems) from error
    found = preview(rows, reference) if isinstance(rows, Rows) else None
    return found if isinstance(found, Preview) else None
