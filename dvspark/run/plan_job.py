"""Plan a job: what it would do and cost, from metadata, samples and a second of its kernel. Nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dvspark.config.job import JobConfig
from dvspark.engine.groups import TASK, Groups
from dvspark.engine.planning.calibrate import calibrate
from dvspark.engine.planning.cluster import read_hosts
from dvspark.engine.planning.estimate import estimate, not_counted
from dvspark.engine.planning.plan import make_plan, require_driver, turning_point
from dvspark.engine.planning.sizes import Sizes
from dvspark.errors import ConfigError, InputError
from dvspark.methods.options import ValueOptions
from dvspark.run.delivery import delivery_of
from dvspark.run.grouping import driver_bytes, expected_groups
from dvspark.run.output import require_packages
from dvspark.run.plan import require_blocks_or_none
from dvspark.run.validate import fitting_problems, is_game_of_owners, require_a_method_of_jobs
from dvspark.spark.exhausted import translated
from dvspark.tables.sources.keys import content_counts
from dvspark.tables.sources.metadata import Preview, preview
from dvspark.tables.sources.read import read_rows
from dvspark.tables.sources.rows import Rows
from dvspark.tables.sources.session_settings import in_own_settings
from dvspark.tables.sources.unreadable import readable
from dvspark.tables.storage import folder_problems
from dvspark.tables.table_checks import unlike_problems
from dvspark.units import show_bytes, show_count, show_seconds

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Values that take fewer seconds of one core are not worth cutting finer.
WORTH_CUTTING = 60.0


@readable()
@translated()
@in_own_settings
def plan_job(config: JobConfig, spark: SparkSession) -> dict[str, Any]:
    """Return what a job would do and cost, as plain data: rows, plan, estimate and what would change the plan.

    Cost: the footers or a count of each table, some of its rows, and `engine.planning.calibrate.calibrate`; where
    validation rows have weights, tasks or classes to tell apart, a pass over these columns.
    Owners who play are counted, too: a pass over their column.
    Raises: what the job would raise before it reads all rows: ConfigError for settings, also for those that do not fit
    tables of this size, InputError for tables that cannot be read, ComputeError if no plan fits.
    """
    _require_job(config)
    train, validation, groups = _previews(config, spark)
    options, labels = config.options(), max(train.n_labels, validation.n_labels)
    sizes = Sizes.of(
        options,
        n_train=train.n_rows,
        n_validation=validation.n_rows,
        n_features=train.n_features,
        dtype=max(train.dtype, validation.dtype),  # float64 if the embeddings of either side are float64
    )
    hosts = read_hosts(spark, config.host_memory)
    n_chunks = None if groups is None else groups.n_chunks
    plan = make_plan(sizes, hosts, chunk_rows=config.chunk_rows, asked=config.plan, n_chunks=n_chunks)
    require_blocks_or_none(plan, options)
    require_driver(sizes, plan, hosts.memory_bytes)
    point = calibrate(sizes, options, n_labels=labels, chunk_rows=config.chunk_rows)
    return {
        "n_train": sizes.n_train,
        "n_validation": sizes.n_validation,
        "n_features": sizes.n_features,
        "dtype": sizes.dtype,
        "label": train.types["label"],
        "ranking": sizes.ranking if sizes.method.ranks else None,
        "asked": sizes.asked,
        "n_ranges": sizes.n_ranges,
        "groups": None if groups is None else _groups_record(groups, sizes.n_train),
        "n_readings": sizes.n_readings,
        "in_chunks": sizes.method.adds_up,
        "cores": hosts.n_tasks,
        "plan": plan.record(),
        "estimate": estimate(plan, sizes, hosts, point).record(),
        "not_counted": not_counted(),
        "turning_point": turning_point(sizes, hosts, asked=config.plan),
    }


def plan_text(found: dict[str, Any]) -> str:
    """Return the result of `plan_job` as text for a person."""
    plan, cost = found["plan"], found["estimate"]
    parts = ", ".join(f"{name} {seconds:,.1f} s" for name, seconds in cost["parts"].items())
    lines = {
        "rows": f"{found['n_train']:,} to value, by {found['n_validation']:,}",
        "embeddings": f"{found['n_features']:,} {found['dtype']}; labels {found['label']}",
        "plan": f"{plan['name']}, {found['asked']}",
        "clause": plan["reason"],
        "would change": found["turning_point"],
        **_parts_of_work(found),
        "index": show_bytes(plan["index_bytes"]),
        "worker": f"{show_bytes(plan['worker_bytes'])} beside what it maps",
        "shuffle": show_bytes(plan["shuffle_bytes"]),
        "products": f"{plan['flops']:.2g} floating-point operations",
        "cost": f"{cost['core_hours']:.2g} core-hours: {parts}",
        "wall time": f"{show_seconds(cost['wall_seconds'])} on {show_count(found['cores'], 'core')}",
        **({"not counted": found["not_counted"]} if found["not_counted"] else {}),
    }
    return "\n".join(f"{name:<13}{line}" for name, line in lines.items())


def _parts_of_work(found: dict[str, Any]) -> dict[str, str]:
    """Return the lines on what the work is cut into: chunks and blocks, ranges of draws, or readings of all rows."""
    plan, lines = found["plan"], dict[str, str]()
    if found["in_chunks"]:
        waves = show_count(plan["n_waves"], "wave")
        lines["chunks"] = f"{plan['n_chunks']:,} of about {plan['chunk_rows']:,} rows, {waves} or more{_idle(found)}"
    if found["groups"]:
        lines["groups"] = _groups_text(found["groups"])
    if found["n_ranges"]:
        lines["ranges"] = f"{found['n_ranges']:,} of draws"
    if found["n_readings"]:
        lines["readings"] = f"{found['n_readings']:,} of all training rows"
    if found["in_chunks"] or plan["n_blocks"] > 1:
        lines["blocks"] = f"{plan['n_blocks']:,} of {plan['block_rows']:,} training rows"
    return lines


def _idle(found: dict[str, Any]) -> str:
    """Return what to do where long chunks, each a task, are fewer than cores; "" where they are not."""
    plan, cores, n_points = found["plan"], found["cores"], found["n_validation"]
    idle = min(cores, n_points) - plan["n_chunks"]
    if idle <= 0 or plan["name"] != "replicated" or found["estimate"]["parts"]["kernel"] < WORTH_CUTTING:
        return ""
    of_cores = f"{cores - plan['n_chunks']:,} of {cores:,} cores value none"
    return f"; {of_cores}: chunk_rows: {-(-n_points // cores)} would give each some, and other last bits"


def _groups_record(groups: Groups, n_train: int) -> dict[str, Any]:
    n_tasks = len(groups.n_rows_of_tasks()) if TASK in groups.columns else 0
    told = {"by": list(groups.columns), "n_groups": len(groups.members), "n_tasks": n_tasks}
    return {**told, "driver_bytes": driver_bytes(groups, n_train)}


def _groups_text(groups: dict[str, Any]) -> str:
    tasks = f", {show_count(groups['n_tasks'], 'task')}" if groups["n_tasks"] else ""
    by = f"{groups['n_groups']:,} by {', '.join(groups['by'])}{tasks}"
    return f"{by}; {show_bytes(groups['driver_bytes'])} of the driver besides"


def _require_job(config: JobConfig) -> None:
    """Raise ConfigError for what a job refuses whatever the tables are."""
    require_a_method_of_jobs(config.options())
    folders = {"output": config.output.path, "work_dir": config.work_dir, "budget": config.budget}
    if problems := folder_problems(**folders):
        raise ConfigError(problems)
    require_packages(delivery_of(config))


def _require_fitting(options: ValueOptions, train: Preview, validation: Preview, rows: Rows) -> None:
    """Raise ConfigError for options that do not fit the tables; ``rows``: the training rows, whose owners may play."""
    parameters, method = options.resolved(max(train.n_labels, validation.n_labels)), options.declaration
    several = any(side.types["label"].startswith("array<") for side in (train, validation))
    problems = fitting_problems(options, parameters, train.n_rows, train.n_features, several=several)
    if is_game_of_owners(options):
        problems += method.size_problems(len(content_counts(rows, ["owner"]).drop_null()), parameters)
    if problems:
        raise ConfigError(problems)


def _previews(config: JobConfig, spark: SparkSession) -> tuple[Preview, Preview, Groups | None]:
    """Return what metadata and samples show of the two sides; under self-validation both sides are one table.

    Also the groups of validation rows, which are counted if these do not all count alike.
    """
    references = {"train": config.train_reference()}
    if (of_points := config.validation_reference()) is not None:
        references["validation"] = of_points
    target = config.options().target
    rows = {side: read_rows(spark, side, reference, target) for side, reference in references.items()}
    found = {side: one if isinstance(one, list) else preview(one, references[side]) for side, one in rows.items()}
    problems = [problem for one in found.values() if isinstance(one, list) for problem in one]
    sides = [one for one in found.values() if isinstance(one, Preview)]
    if not problems:
        problems += unlike_problems([side.n_features for side in sides], [side.types["label"] for side in sides])
    if problems:
        raise InputError(problems)
    first, last = rows["train"], rows.get("validation", rows["train"])
    assert isinstance(first, Rows)  # noqa: S101 - lists are of problems
    assert isinstance(last, Rows)  # noqa: S101
    _require_fitting(config.options(), sides[0], sides[-1], first)
    return sides[0], sides[-1], expected_groups(last, config.options(), config.chunk_rows)
