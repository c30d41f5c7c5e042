"""Plan: how a valuation will be spread, decided before it starts, with the reason."""

from __future__ import annotations

import logging
import os
from dataclasses import asdict, dataclass
from typing import Any

from dvspark.engine.chunks import WAVE_CHUNKS, count_chunks
from dvspark.errors import ComputeError, Problem
from dvspark.kernels.memory import scratch_bytes

logger = logging.getLogger(__name__)

# Beside the embeddings an index holds norm, scale, label code, id and offsets of a row.
KEY_BYTES = 64
# Page cache an index may fill on a host; the rest is for workers and the JVM.
HOST_SHARE = 0.6


@dataclass(frozen=True)
class Plan:
    """The plan of a run: bytes are estimates before the index is built."""

    name: str
    reason: str
    chunk_rows: int
    n_chunks: int
    n_waves: int
    index_bytes: int
    worker_bytes: int
    block_rows: int = 0

    def record(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return asdict(self)


def make_plan(*, n_train: int, n_validation: int, n_features: int, dtype: str, ties: str, chunk_rows: int) -> Plan:
    """Return the plan for these sizes; the first clause that holds decides.

    Raises: ComputeError when no plan fits.
    """
    item_bytes = 8 if dtype == "float64" else 4
    index_bytes = n_train * (n_features * item_bytes + KEY_BYTES)
    worker_bytes = scratch_bytes(n_train, n_features, ties=ties) + chunk_rows * n_features * item_bytes
    n_chunks = count_chunks(n_validation, chunk_rows)
    host_bytes = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * HOST_SHARE)
    # 1. The index fits a host's memory: replicated.
    if index_bytes <= host_bytes:
        reason = f"1. index of {_size(index_bytes)} fits {_size(host_bytes)}, {HOST_SHARE:.0%} of a host's memory"
        logger.debug("plan: replicated: %s", reason)
        return Plan("replicated", reason, chunk_rows, n_chunks, -(-n_chunks // WAVE_CHUNKS), index_bytes, worker_bytes)
    # 2. It does not: this version has no plan for it.
    got = f"{_size(index_bytes)} for {n_train} rows of {n_features} {dtype}"
    hint = "use hosts with more memory, float32 embeddings, or fewer features"
    raise ComputeError(Problem("train index", f"at most {_size(host_bytes)}", got, hint))


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.1f} MiB"
