"""A simulated cluster: the three stages of a job of the sharded plan, task by task, on hosts that differ in speed.

A stage begins when the one before has ended and its output has traveled. A task goes to the core that is free first.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace

import numpy as np

# Spark's own: once so many of a stage's tasks have ended, what takes so many times their median is started again.
SPECULATION_QUANTILE, SPECULATION_MULTIPLIER = 0.9, 3.0


@dataclass(frozen=True)
class Rates:
    """What work takes on one core, in seconds, and what hosts have.

    ``row``: a row and a point, products and codes; ``table_row``: a row, where a task makes tables over all ranks
    before it merges; ``point``: a point, where parts are merged; ``part``: a part of a point, from one block;
    ``added_row``: a row and a point, where values are added; ``byte``: a byte that is written for other tasks or for
    the driver, and read there; ``task`` and ``job``: what the driver takes to start one. ``spread``: measured times of
    one task by their median.
    """

    row: float
    table_row: float
    point: float
    part: float
    added_row: float
    byte: float
    task: float
    job: float
    spread: tuple[float, ...]
    network_bytes: float = 1.25e9
    disk_bytes: float = 1e9


@dataclass(frozen=True)
class Work:
    """A job: ``n_chunks`` chunks of ``chunk_rows`` points, against ``n_blocks`` blocks of ``block_rows`` rows.

    ``part_bytes`` of a point go from each block to where it is merged, ``table_bytes`` of a point from there to each
    host. ``partial_bytes`` of each chunk go to the driver.
    """

    n_chunks: int
    chunk_rows: int
    n_blocks: int
    block_rows: int
    part_bytes: int
    table_bytes: int
    block_bytes: int
    partial_bytes: int

    @property
    def n_points(self) -> int:
        """How many points the job values."""
        return self.n_chunks * self.chunk_rows

    def n_mergers(self, n_tasks: int) -> int:
        """Return how many tasks merge, where ``n_tasks`` run at once."""
        return self.n_chunks * max(1, min(n_tasks // self.n_chunks, self.chunk_rows))


@dataclass(frozen=True)
class Cluster:
    """Hosts with so many cores and so much memory; ``slow``: how many are ``slowness`` times slower than others."""

    n_hosts: int
    n_cores: int
    memory_bytes: int
    slow: int = 0
    slowness: float = 3.0
    speculates: bool = False

    def speeds(self) -> np.ndarray:
        """Return how long each core takes, by what a usual one takes."""
        hosts = np.ones(self.n_hosts)
        hosts[: self.slow] = self.slowness
        return np.repeat(hosts, self.n_cores)


def job_seconds(work: Work, cluster: Cluster, rates: Rates, rng: np.random.Generator) -> dict[str, float]:
    """Return the seconds by the clock of the stages of a job, and of what travels between them."""
    parts = work.n_points * rates.row * work.block_rows + work.n_points * work.part_bytes * rates.byte
    if work.block_bytes * work.n_blocks > 0.6 * cluster.memory_bytes * cluster.n_hosts:  # read again for each job
        parts += work.block_bytes * cluster.n_cores / rates.disk_bytes
    n_mergers = work.n_mergers(cluster.n_hosts * cluster.n_cores)
    of_merger = -(-work.n_points // n_mergers)
    merged = of_merger * (rates.point + work.n_blocks * rates.part + work.table_bytes * rates.byte)
    merged += rates.table_row * work.n_blocks * work.block_rows
    added = work.n_points * rates.added_row * work.block_rows
    return {
        "parts": stage_seconds(work.n_blocks, parts, cluster, rates, rng),
        "parts travel": _travel(work.part_bytes * work.n_blocks * work.n_points, cluster, rates, n_mergers),
        "merge": stage_seconds(n_mergers, merged, cluster, rates, rng),
        "values travel": _travel(work.table_bytes * cluster.n_hosts * work.n_points, cluster, rates, n_mergers),
        "add": stage_seconds(work.n_blocks, added, cluster, rates, rng),
        "driver": rates.job + work.n_chunks * work.partial_bytes * rates.byte,
    }


def stage_seconds(n_tasks: int, seconds: float, cluster: Cluster, rates: Rates, rng: np.random.Generator) -> float:
    """Return when the last of a stage's tasks ends, each taking ``seconds`` on a usual core, times the spread."""
    took = seconds * rng.choice(np.array(rates.spread), n_tasks)
    speeds = cluster.speeds()
    free = [(0.0, core) for core in rng.permutation(len(speeds)).tolist()]
    heapq.heapify(free)
    ends = np.empty(n_tasks)
    starts = np.empty(n_tasks)
    for task in range(n_tasks):
        at, core = heapq.heappop(free)
        starts[task] = max(at, task * rates.task)  # the driver starts one after the other
        ends[task] = starts[task] + took[task] * speeds[core]
        heapq.heappush(free, (float(ends[task]), core))
    return float(_speculated(starts, ends, took, free, rng, rates) if cluster.speculates else ends.max())


def without_stragglers(rates: Rates) -> Rates:
    """Return rates with which each task takes what the median one takes."""
    return replace(rates, spread=(1.0,))


def _speculated(
    starts: np.ndarray,
    ends: np.ndarray,
    took: np.ndarray,
    free: list[tuple[float, int]],
    rng: np.random.Generator,
    rates: Rates,
) -> float:
    """Return the end of a stage whose late tasks are started again on free cores; the first to end counts."""
    durations = ends - starts
    begin = np.quantile(ends, SPECULATION_QUANTILE)
    limit = SPECULATION_MULTIPLIER * np.median(durations[ends <= begin])
    late = np.flatnonzero((ends > begin) & (durations > limit))
    idle = sorted(at for at, _ in free)
    fixed = ends.copy()
    for place, task in enumerate(late[np.argsort(starts[late])]):
        again = max(begin, starts[task] + limit, idle[min(place, len(idle) - 1)])
        # A copy has a usual core: the work of the task, with another draw of the spread.
        fixed[task] = min(ends[task], again + np.median(took) * rng.choice(np.array(rates.spread)))
    return float(fixed.max())


def _travel(n_bytes: int, cluster: Cluster, rates: Rates, n_ends: int) -> float:
    """Return what bytes take between hosts; the end with fewer hosts, mergers or blocks, is the narrow one."""
    if cluster.n_hosts == 1:
        return 0.0
    hosts = min(cluster.n_hosts, n_ends)
    return n_bytes * (1 - 1 / cluster.n_hosts) / (hosts * rates.network_bytes)
