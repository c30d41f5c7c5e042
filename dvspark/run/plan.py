"""Plan: the sizes of tables and hosts decide how the run is spread, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dvspark.engine.groups import Groups
from dvspark.engine.planning.cluster import read_hosts
from dvspark.engine.planning.plan import Plan, make_plan, require_driver, this_host_bytes
from dvspark.engine.planning.sizes import Sizes
from dvspark.errors import ComputeError, Problem
from dvspark.local.session import LocalSession
from dvspark.logs import Stages
from dvspark.methods.options import ValueOptions
from dvspark.run.request import Spread
from dvspark.tables.sources.not_local import not_local
from dvspark.tables.table_checks import ValidatedInputs

if TYPE_CHECKING:
    from dvspark.local.session import Session


def plan_run(
    inputs: ValidatedInputs,
    options: ValueOptions,
    spread: Spread,
    session: Session,
    stages: Stages,
    groups: Groups | None = None,
) -> Plan:
    """Return how the run is spread; ``groups``: of validation rows, which have chunks of their own.

    Raises: ComputeError if no plan fits, or the driver cannot hold its tables; NotLocalError for an index that does not
    fit a machine without Spark.
    """
    with stages.stage("plan") as now:
        sizes = Sizes.of(
            options,
            n_train=inputs.train_facts.n_rows,
            n_validation=inputs.validation_facts.n_rows,
            n_features=inputs.n_features,
            dtype=inputs.dtype,
        )
        hosts = read_hosts(session, spread.host_memory)
        n_chunks = None if groups is None else groups.n_chunks
        plan = make_plan(sizes, hosts, chunk_rows=spread.chunk_rows, asked=spread.plan, n_chunks=n_chunks)
        if plan.name == "sharded" and isinstance(session, LocalSession):
            raise not_local("plan", "an index that fits this machine", plan.reason)
        require_blocks_or_none(plan, options)
        require_driver(sizes, plan, this_host_bytes())
        now.note = f"{plan.name}, {plan.n_chunks} chunks: {plan.reason}"
    return plan


def require_blocks_or_none(plan: Plan, options: ValueOptions) -> None:
    """Raise ComputeError for a plan in blocks of a method that has to see all rows."""
    if plan.name == "sharded" and not options.declaration.in_blocks:
        hint = "its utility needs all rows on each host: give hosts more memory, or value fewer rows"
        raise ComputeError(Problem("plan", f"an index that fits a host, for {options.method}", plan.reason, hint))
