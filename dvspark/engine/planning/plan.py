"""Plan: how a valuation will be spread over hosts, decided before it starts, with the reason."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dvspark.engine.chunks import WAVE_CHUNKS, chunks_of_job, count_chunks
from dvspark.engine.planning.sizes import EXCHANGE_CORE_SECONDS_PER_BYTE, Sizes, shuffle_bytes, worker_bytes
from dvspark.errors import ComputeError, Problem, written
from dvspark.kernels.distances.distances import TILE_ROWS
from dvspark.units import parse_bytes, show_bytes

logger = logging.getLogger(__name__)

PLANS = ("auto", "replicated", "sharded")

# Page cache an index may fill on a host; the rest is for workers and the JVM.
HOST_SHARE = 0.6

# A block is at most this share of the index, so that no process comes near holding all of it, and at most so
# many bytes, so that a retried task has little to do again.
LARGEST_BLOCK_SHARE = 8
LARGEST_BLOCK_BYTES = 2**30
# Blocks for each core, so that cores which end early have something left to do.
BLOCKS_A_CORE = 2
# What products and codes take for a row and a point, about: fitted to 86 ns for 4,096 features, as measured by
# `python -m tests.bench.scale` (AMD EPYC, 2026-11-30).
PRODUCT_SECONDS, PRODUCT_SECONDS_A_FEATURE = 4e-9, 2e-11
# What the driver takes to start a task, one after the other, about. A job starts two for each block.
TASK_SECONDS = 5e-3


@dataclass(frozen=True)
class Hosts:
    """Where a run takes place: tasks that run at once, in all and on one host, and the memory of one host in bytes."""

    n_tasks: int
    n_tasks_here: int
    memory_bytes: int

    @property
    def share_bytes(self) -> int:
        """The bytes that the index may take of one host."""
        return int(self.memory_bytes * HOST_SHARE)


@dataclass(frozen=True)
class Plan:
    """The plan of a run. Bytes are estimates, made before the index is built.

    - ``n_waves``: at least so many waves; more if chunks take long.
    - ``block_rows``: training rows of one block; all rows if replicated.
    - ``worker_bytes``: memory of one Python worker beside what it maps.
    - ``shuffle_bytes``: what travels between tasks in all.
    - ``flops``: floating-point operations of the matrix products.
    """

    name: str
    reason: str
    chunk_rows: int
    n_chunks: int
    n_waves: int
    block_rows: int
    n_blocks: int
    index_bytes: int
    worker_bytes: int
    shuffle_bytes: int
    flops: int

    def record(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return asdict(self)


def make_plan(sizes: Sizes, hosts: Hosts, *, chunk_rows: int, asked: str = "auto", n_chunks: int | None = None) -> Plan:
    """Return the plan for these sizes: the first clause that holds decides.

    ``asked``: one of `PLANS`. ``n_chunks``: where it follows from more than the number of validation rows.
    Raises: ComputeError if no plan fits, or if the plan that was asked for does not fit.
    """
    name, reason = _choose(sizes, hosts, chunk_rows, asked)
    logger.debug("plan: %s: %s", name, reason)
    n_chunks = count_chunks(sizes.n_validation, chunk_rows) if n_chunks is None else n_chunks
    block_rows = sizes.n_train if name == "replicated" else _block_rows(sizes, hosts, chunk_rows)
    n_blocks = -(-sizes.n_train // block_rows)
    return Plan(
        name=name,
        reason=reason,
        chunk_rows=chunk_rows,
        n_chunks=n_chunks,
        n_waves=-(-n_chunks // WAVE_CHUNKS),
        block_rows=block_rows,
        n_blocks=n_blocks,
        index_bytes=sizes.index_bytes,
        worker_bytes=worker_bytes(sizes, name, min(block_rows, sizes.n_train), chunk_rows),
        shuffle_bytes=shuffle_bytes(sizes, name, n_chunks, n_blocks),
        flops=sizes.method.flops(sizes),
    )


def require_driver(sizes: Sizes, plan: Plan, memory_bytes: int) -> None:
    """Raise ComputeError if a driver of so much memory has not enough for the rows that its method has it hold."""
    needed = sizes.method.driver_bytes(sizes, in_blocks=plan.name == "sharded")
    if needed > memory_bytes * HOST_SHARE:
        most = f"{show_bytes(int(memory_bytes * HOST_SHARE))}, {HOST_SHARE:.0%} of its memory"
        rows = f"{sizes.n_train:,} rows by {sizes.n_validation:,}, of {sizes.n_features:,} {sizes.dtype}"
        hint = "value a sample of rows, or start the driver where it has more memory"
        expected = f"at most {most}, for {sizes.method.name}"
        raise ComputeError(Problem("memory of the driver", expected, f"{show_bytes(needed)} for {rows}", hint))


def turning_point(sizes: Sizes, hosts: Hosts, *, asked: str = "auto") -> str:
    """Return, as text, what would change the choice: another number of rows, or another memory of a host."""
    fits = sizes.index_bytes <= hosts.share_bytes
    if asked != "auto":
        return f"plan: auto, which chooses {'replicated' if fits else 'sharded'} here"
    n_rows, memory = f"{hosts.share_bytes // sizes.row_bytes:,}", show_bytes(math.ceil(sizes.index_bytes / HOST_SHARE))
    if fits:
        return f"sharded above {n_rows} rows of this kind, or below {memory} of host_memory"
    return f"replicated up to {n_rows} rows of this kind, or from {memory} of host_memory"


def _choose(sizes: Sizes, hosts: Hosts, chunk_rows: int, asked: str) -> tuple[str, str]:
    """Return the name of the plan and the clause that chose it."""
    index = f"index of {show_bytes(sizes.index_bytes)}"
    share = f"{show_bytes(hosts.share_bytes)}, {HOST_SHARE:.0%} of a host's memory"
    fits, block_rows = sizes.index_bytes <= hosts.share_bytes, _block_rows(sizes, hosts, chunk_rows)
    # 1. The configuration asks for a plan, which must fit all the same.
    if asked == "replicated" and not fits:
        got = f"{show_bytes(sizes.index_bytes)} for {sizes.n_train} rows of {sizes.n_features} {sizes.dtype}"
        hint = "set plan: sharded, or host_memory to what one host of the cluster has"
        raise ComputeError(Problem("plan: replicated", f"an index of at most {share}", got, hint))
    if asked == "replicated" or (asked == "sharded" and block_rows):
        return asked, f"1. plan: {asked} is set; {index}, {share}"
    # 2. The index fits a host's memory.
    if asked == "auto" and fits:
        return "replicated", f"2. {index} fits {share}"
    # 3. It does not, but its blocks do.
    if block_rows:
        block = f"blocks of {show_bytes(block_rows * sizes.row_bytes)} do"
        return "sharded", f"3. {index} does not fit {share}; {block}"
    # 4. Not even the smallest block leaves room to work on it.
    least = min(TILE_ROWS, sizes.n_train)
    needed = least * sizes.row_bytes + worker_bytes(sizes, "sharded", least, chunk_rows)
    got = f"{show_bytes(needed)} for a block of {least} rows of {sizes.n_features} {sizes.dtype}, {sizes.asked}"
    hint = "use hosts with more memory, or fewer tasks at once on a host (spark.executor.cores)"
    hint += ", or ranking: binned, if the method has it" if sizes.sorts else ""
    expected = f"at most {show_bytes(_task_bytes(hosts))} for each of {hosts.n_tasks_here} tasks on a host"
    raise ComputeError(Problem("memory of a worker", expected, got, hint))


def _task_bytes(hosts: Hosts) -> int:
    return hosts.share_bytes // hosts.n_tasks_here


def _block_rows(sizes: Sizes, hosts: Hosts, chunk_rows: int) -> int:
    """Return the rows of the largest block that is allowed and fits together with its scratch; 0 if none does."""
    most_bytes = min(LARGEST_BLOCK_BYTES, _task_bytes(hosts)) // sizes.row_bytes
    worthwhile = min(BLOCKS_A_CORE * hosts.n_tasks, _worthwhile_blocks(sizes, hosts, chunk_rows))
    most_rows = min(most_bytes, sizes.n_train // max(LARGEST_BLOCK_SHARE, worthwhile))
    for tiles in range(max(1, most_rows // TILE_ROWS), 0, -1):
        rows = min(tiles * TILE_ROWS, sizes.n_train)
        scratch = worker_bytes(sizes, "sharded", rows, chunk_rows)
        if rows * sizes.row_bytes + scratch <= _task_bytes(hosts):
            return tiles * TILE_ROWS
    return 0


def _worthwhile_blocks(sizes: Sizes, hosts: Hosts, chunk_rows: int) -> int:
    """Return from how many blocks on other work grows by more than products get shorter (decisions 0053 and 0055).

    One task merges what all blocks tell of a point, and the driver starts two tasks for each block:
    seconds of a job ~ (merging / n_merging + 2 tasks) n_blocks + products / n_blocks.
    """
    exchanged = sizes.method.exchanged_bytes
    merging = (exchanged(sizes, 2) - exchanged(sizes, 1)) / 2 * EXCHANGE_CORE_SECONDS_PER_BYTE
    if not sizes.method.compares or not merging:
        return BLOCKS_A_CORE * hosts.n_tasks
    products = sizes.n_train * (PRODUCT_SECONDS + PRODUCT_SECONDS_A_FEATURE * sizes.n_features)
    n_points = min(sizes.n_validation, chunk_rows * chunks_of_job(sizes.n_train, chunk_rows))
    n_merging = max(1, min(n_points, hosts.n_tasks))
    of_block = n_points * merging / n_merging + 2 * TASK_SECONDS
    return max(1, round(math.sqrt(n_points * products / of_block)))


def this_host_bytes() -> int:
    """Return the memory of this machine, or the limit of this process's control group (a container's) if less."""
    return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *group_limits(Path("/")))


def group_limits(root: Path) -> list[int]:
    """Return the memory limits in bytes of this process's control groups and those above, in both versions of groups.

    A container sees its own group as the root, while /proc may name the group's place on the host. So both places are
    looked at.
    """
    found = []
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            top, name = ("memory", "memory.limit_in_bytes") if controllers else ("", "memory.max")
            place = Path(group.lstrip("/"))
            for folder in (place, *place.parents):
                with contextlib.suppress(OSError, ValueError):  # "max" is no limit
                    found.append(int((root / "sys/fs/cgroup" / top / folder / name).read_text()))
    return [limit for limit in found if limit > 0]


def host_memory_problems(host_memory: object) -> list[Problem]:
    """Return what is wrong with the setting ``host_memory``; None stands for left out."""
    if host_memory is None or (isinstance(host_memory, str) and parse_bytes(host_memory)):
        return []
    return [Problem("host_memory", "a size", written(host_memory), "write 4g or 512m; leave it out for this machine's")]
