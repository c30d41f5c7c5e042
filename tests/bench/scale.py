"""Beyond this machine: plans for 10 and 100 million rows, and their waves simulated: `python -m tests.bench.scale`."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
import pyarrow as pa

from dvspark.engine.chunks import chunks_of_job
from dvspark.engine.planning.calibrate import calibrate
from dvspark.engine.planning.plan import TASK_SECONDS, Hosts, Plan, make_plan
from dvspark.engine.planning.sizes import EXCHANGE_CORE_SECONDS_PER_BYTE, PARTIAL_ROW_BYTES, Sizes
from dvspark.engine.sharded.binned_exchange import POINTS_AT_ONCE
from dvspark.kernels.binning import bins
from dvspark.kernels.blocks.merged_bins import add_points
from dvspark.methods.base import BIN_COUNT_BYTES, BIN_PART_BYTES, BIN_TABLE_BYTES
from dvspark.methods.kinds.ranking import RankingMethod
from dvspark.methods.options import ValueOptions
from dvspark.units import show_bytes
from tests.bench.frame import Result, Row, result, run, say
from tests.bench.simulated_cluster import Cluster, Rates, Work, job_seconds, without_stragglers

QUESTION = "How far does the sharded plan carry, on 8 to 512 hosts?"
METHOD = """\
Plans are those that `dvspark plan` makes, by its own functions, for hosts of 8 cores, 4,096 float32 a row; hosts have
64 GiB for 10 million rows and 256 GiB for 100 million, where a task that merges takes 10 GiB. 64 chunks of 256 points
are simulated task by task, job after job: a job has as many chunks as the driver takes partials of, here one. Measured
on this machine, in CPU seconds: what products and codes take for a row and a point, what tables over all ranks take,
which each task that merges makes, parts to be merged, and values to be added; by the clock, beside what else runs on
this machine: how unequal equal tasks are. Assumed: 1 s to start a job, 5 ms to start a task, 10 Gbit/s a host, 1 GB/s
from disk where the table exceeds 60 % of all memory. "Stragglers" draws each task's time from the measured spread and
lets one host of 32, at least one, be three times slower throughout; "speculation" starts late tasks again, as Spark
does when asked to. Each figure is the mean of ten draws. No cluster has been there to hold the simulation against."""
N_FEATURES, CHUNK_ROWS, N_CHUNKS = 4_096, 256, 64
N_ROWS = (10_000_000, 100_000_000)
N_HOSTS, TINY_HOSTS = (8, 32, 128, 512), (8, 32)
CORES = 8
MEMORY = {10_000_000: 64 * 2**30, 100_000_000: 256 * 2**30}
JOB_SECONDS = 1.0
TABLE_ROWS = 4_000_000
DRAWS = 10


def main(tiny: bool = False) -> Result:
    """Measure the rates, plan and simulate; half a minute."""
    say("scale: measuring rates")
    rates = measured_rates(N_FEATURES if not tiny else 16)
    plans, jobs = list[Row](), list[Row]()
    for n_rows in N_ROWS:
        for n_hosts in TINY_HOSTS if tiny else N_HOSTS:
            say(f"scale: {n_rows:,} rows on {n_hosts} hosts")
            sizes, plan = planned(n_rows, n_hosts)
            plans.append(plan_row(sizes, plan, n_hosts))
            jobs.append(simulated(plan, n_rows, n_hosts, rates))
    told = [{"rate": name, "measured": value} for name, value in rate_rows(rates).items()]
    tables = {"Rates": told, "Plans": plans, "Jobs of 16,384 points": jobs}
    return result("scale", QUESTION, METHOD, [], tables)


def planned(n_rows: int, n_hosts: int, n_features: int = N_FEATURES) -> tuple[Sizes, Plan]:
    """Return the sizes and the plan of a job of `N_CHUNKS` chunks."""
    n_points = CHUNK_ROWS * N_CHUNKS
    options = ValueOptions("knn_shapley", {"k": 10})
    sizes = Sizes.of(options, n_train=n_rows, n_validation=n_points, n_features=n_features, dtype="float32")
    return sizes, make_plan(sizes, Hosts(n_hosts * CORES, CORES, MEMORY[n_rows]), chunk_rows=CHUNK_ROWS)


def plan_row(sizes: Sizes, plan: Plan, n_hosts: int) -> Row:
    """Return what a plan says."""
    return {
        "N": sizes.n_train,
        "hosts": n_hosts,
        "memory": show_bytes(MEMORY[sizes.n_train]),
        "plan": plan.name,
        "blocks": plan.n_blocks,
        "rows a block": plan.block_rows,
        "index": show_bytes(plan.index_bytes),
        "worker": show_bytes(plan.worker_bytes),
        "exchanged a point": show_bytes((plan.shuffle_bytes - plan.index_bytes) // sizes.n_validation),
    }


def simulated(plan: Plan, n_rows: int, n_hosts: int, rates: Rates) -> Row:
    """Return the seconds of all jobs by stage, and with stragglers, and the share that products have."""
    work = work_of(plan, N_FEATURES, n_rows)
    n_jobs = N_CHUNKS / work.n_chunks
    slow = max(1, n_hosts // 32)
    equal, unequal = Cluster(n_hosts, CORES, MEMORY[n_rows]), Cluster(n_hosts, CORES, MEMORY[n_rows], slow)
    again = Cluster(n_hosts, CORES, MEMORY[n_rows], slow, speculates=True)
    means = mean_seconds(work, equal, without_stragglers(rates), n_jobs)
    n_points = CHUNK_ROWS * N_CHUNKS
    ideal = n_points * n_rows * rates.row / (n_hosts * CORES)
    return {
        "N": n_rows,
        "hosts": n_hosts,
        **{f"{name}, s": seconds for name, seconds in means.items()},
        "in all, s": sum(means.values()),
        "ms a point": 1e3 * sum(means.values()) / n_points,
        "stragglers, s": sum(mean_seconds(work, unequal, rates, n_jobs).values()),
        "speculation, s": sum(mean_seconds(work, again, rates, n_jobs).values()),
        "products / all": ideal / sum(means.values()),
    }


def mean_seconds(work: Work, cluster: Cluster, rates: Rates, n_jobs: float) -> dict[str, float]:
    """Return what so many jobs take, by the mean of some draws."""
    drawn = [job_seconds(work, cluster, rates, np.random.default_rng(seed)) for seed in range(DRAWS)]
    return {name: n_jobs * float(np.mean([one[name] for one in drawn])) for name in drawn[0]}


def work_of(plan: Plan, n_features: int, n_rows: int) -> Work:
    """Return a job of a plan as work."""
    n_chunks = min(N_CHUNKS, chunks_of_job(n_rows, plan.chunk_rows))
    of_point = (BIN_COUNT_BYTES + BIN_PART_BYTES, BIN_TABLE_BYTES)
    of_job = (4 * n_features * plan.block_rows, PARTIAL_ROW_BYTES * n_rows)
    return Work(n_chunks, plan.chunk_rows, plan.n_blocks, plan.block_rows, *of_point, *of_job)


def measured_rates(n_features: int) -> Rates:
    """Return the rates of this machine."""
    sizes, _ = planned(N_ROWS[0], 8, n_features)
    cost = calibrate(sizes, ValueOptions("knn_shapley", {"k": 10}), n_labels=10, chunk_rows=CHUNK_ROWS)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2 * bins.N_BINS, (POINTS_AT_ONCE, 2**16), np.uint16)
    tables, sums = rng.random((POINTS_AT_ONCE, 2 * bins.N_BINS)), np.zeros((2, 2**16))
    near = [(np.empty(0, np.int32), np.empty(0))] * POINTS_AT_ONCE
    added = _median(lambda: add_points(codes, tables, near, sums[0], sums[1])) / codes.size
    counts = rng.integers(0, 9, (64, bins.N_COUNTS), np.uint16)
    x, z = rng.random((8_192, n_features), np.float32), rng.random((256, n_features), np.float32)
    times = [_clock_seconds(lambda: x @ z.T) for _ in range(60)]
    spread = tuple(float(one) for one in np.array(times) / np.median(times))
    part = _median(lambda: _merged(counts)) / len(counts)
    options = ValueOptions("knn_shapley", {"k": 10})
    method, parameters = options.declaration, options.resolved(10)
    ranked = options.ranking_options(parameters, TABLE_ROWS)
    tables = _median(lambda: RankingMethod.of(method).game(TABLE_ROWS, ranked, parameters), 3) / TABLE_ROWS
    of_point = (max(cost.fixed, 0.0), part, added, EXCHANGE_CORE_SECONDS_PER_BYTE)
    return Rates(cost.per_row, tables, *of_point, TASK_SECONDS, JOB_SECONDS, spread)


def rate_rows(rates: Rates) -> dict[str, float]:
    """Return the rates as the page shows them."""
    return {
        "products and codes, ns a row and point": 1e9 * rates.row,
        "tables over all ranks, ns a row": 1e9 * rates.table_row,
        "merging, ms a point": 1e3 * rates.point,
        "merging, µs a part": 1e6 * rates.part,
        "adding, ns a row and point": 1e9 * rates.added_row,
        "exchange, ns a byte": 1e9 * rates.byte,
        "the slowest of 60 equal tasks / the median": max(rates.spread),
        "processes that ran or waited for a core meanwhile": os.getloadavg()[0],
    }


def _merged(counts: np.ndarray) -> Any:
    """Do with the parts of a point what a task does: rows, as they travel, are read, and counts added up."""
    batches = [pa.RecordBatch.from_pylist([{"line": line}]) for line in range(len(counts))]
    total = np.zeros(counts.shape[1], np.int32)
    for batch in batches:
        total += counts[batch.column(0)[0].as_py()]
    return total


def _clock_seconds(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _seconds(work: Any) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _median(work: Any, runs: int = 9) -> float:
    work()
    return float(np.median([_seconds(work) for _ in range(runs)]))


if __name__ == "__main__":
    run(main)
