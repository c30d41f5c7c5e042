"""Estimate: what a planned run will take, from its sizes and a short measurement of its kernel. No Spark."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dvspark.engine.chunks import WAVE_CHUNKS
from dvspark.engine.planning.calibrate import PointCost
from dvspark.engine.planning.plan import Hosts, Plan
from dvspark.engine.planning.sizes import EXCHANGE_CORE_SECONDS_PER_BYTE, Sizes
from dvspark.kernels import loops

# Fitted to CPU seconds of whole runs, as `python -m tests.bench.plan_estimate` takes them (Intel Xeon, 2 cores,
# local[2], 2026-11-22): 24 s for 20,000 × 64 float32 by 512 validation rows, 27 s for 100,000 × 256 by 512, 43 s for
# 300,000 × 128 by 4,096.
# Loops had been compiled before: see `not_counted`.
# What a run of a few rows takes: Java and Spark start, the checks run a few queries, the report is written.
START_CORE_SECONDS = 23.0
START_SECONDS = 15.5
# The same without Spark: Python and its workers start, and a report is drawn.
LOCAL_START_SECONDS = 3.0
# A byte of embeddings is read, checked, hashed and put in its place by all cores; where Spark reads, twice as much.
CHECK_CORE_SECONDS_PER_BYTE = 1.2e-8
# One process, the driver's, prepares the packed rows and hashes them, and audits a dozen points.
INDEX_SECONDS_PER_BYTE = 5e-9
# A training row is hashed, sorted by id, counted by label, ranked and written, whatever its dimension.
ROW_CORE_SECONDS = 5e-6


def not_counted() -> str:
    """Return what an estimate leaves out here, "" if nothing: a host compiles loops once, the first time it needs them.

    Those of `knn_shapley` took 12 s of CPU: `dvspark value` of the demo's tables, with NUMBA_CACHE_DIR empty and then
    filled (same machine, 2026-11-29).
    """
    return "compiling loops, once on each host, some 10 s" if loops.is_compiled() else ""


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to take: CPU seconds of all processes, in all and by ``parts``, and elapsed seconds."""

    core_seconds: float
    wall_seconds: float
    parts: dict[str, float]

    @property
    def core_hours(self) -> float:
        """The CPU seconds as core-hours."""
        return self.core_seconds / 3600

    def record(self) -> dict[str, Any]:
        """Return the estimate as plain data."""
        return asdict(self) | {"core_hours": round(self.core_hours, 4)}


def estimate(plan: Plan, sizes: Sizes, hosts: Hosts, point: PointCost) -> Estimate:
    """Return what a run by this plan will take on these hosts, if a point costs ``point`` on one core."""
    exchanged = plan.shuffle_bytes - sizes.index_bytes  # the training rows' own way is in the figure for checks
    spread = {
        "check": sizes.row_bytes * (sizes.n_train + sizes.n_validation) * CHECK_CORE_SECONDS_PER_BYTE,
        "rows": sizes.n_train * ROW_CORE_SECONDS,
        "exchange": exchanged * EXCHANGE_CORE_SECONDS_PER_BYTE,
    }
    kernel = sizes.n_validation * point.seconds(sizes.n_train)
    index = sizes.index_bytes * INDEX_SECONDS_PER_BYTE
    parts = {"start": START_CORE_SECONDS, "index": index, "kernel": kernel, **spread}
    by_clock = (
        START_SECONDS + index + sum(spread.values()) / hosts.n_tasks + kernel * _longest_share(plan, sizes, hosts)
    )
    rounded = {name: round(seconds, 3) for name, seconds in parts.items()}
    return Estimate(round(sum(parts.values()), 1), round(by_clock, 1), rounded)


def local_seconds(plan: Plan, sizes: Sizes, hosts: Hosts, point: PointCost) -> float:
    """Return the seconds by the clock that a run takes without Spark, whose start it saves."""
    return estimate(plan, sizes, hosts, point).wall_seconds - START_SECONDS + LOCAL_START_SECONDS


def _longest_share(plan: Plan, sizes: Sizes, hosts: Hosts) -> float:
    """Return the share of all chunks that the busiest core values. Each wave waits for its last task."""
    if sizes.n_ranges:  # they are the tasks
        return -(-sizes.n_ranges // hosts.n_tasks) / sizes.n_ranges
    if plan.name == "sharded":  # blocks are the tasks
        return -(-plan.n_blocks // hosts.n_tasks) / plan.n_blocks
    full, rest = divmod(plan.n_chunks, WAVE_CHUNKS)
    turns = full * -(-WAVE_CHUNKS // hosts.n_tasks) + -(-rest // hosts.n_tasks)
    return turns / plan.n_chunks
