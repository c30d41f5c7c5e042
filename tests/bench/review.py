"""Large reviews: `python -m tests.bench.review`."""

from __future__ import annotations

import resource
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

import dvspark
from dvspark.errors import DataWarning
from dvspark.review import memory_bytes
from dvspark.review.near import NearTable, near_bytes
from dvspark.review.review_rows import AUTO, ReviewRows, Side, review_rows
from tests.bench.frame import Result, apart, at_most, result, run, say

QUESTION = "What does a review of a large table take?"
METHOD = """\
Each line in a process of its own with one BLAS thread. *Whole reviews*: `dvspark.review_arrays` of N float32 rows by
2,000 validation rows, k = 20. Rows lie around 100 class centers, one label in 20 is wrong. *After the search*: the
rest of a review of N rows, whose 20 nearest rows of both tables are given and drawn from the row's class; no heads,
so that features play no part. Memory is the most that the process had resident beyond its inputs, against
`dvspark.review.memory_bytes`, after the search less its part for the search. The search compares N² pairs, so the
time of a larger table follows from the nanoseconds of a pair."""
SHAPES, LARGE = [(10_000, 384), (30_000, 384)], [1_000_000]
TINY_SHAPES, TINY_LARGE = [(2_000, 8)], [3_000]
N_VALIDATION, N_CLASSES, K = 2_000, 100, 20
WRONG = 0.05


def main(tiny: bool = False) -> Result:
    """Review each table once; some minutes, and 8 GB."""
    whole, rest, targets = [], [], []
    for n, d in TINY_SHAPES if tiny else SHAPES:
        say(f"review: {n:,} rows of {d}")
        whole.append({"N": n, "D": d, **(reviewed if tiny else partial(apart, reviewed))(n=n, d=d)})
    for n in TINY_LARGE if tiny else LARGE:
        say(f"review: {n:,} rows after the search")
        rest.append({"N": n, **(after_search if tiny else partial(apart, after_search))(n=n)})
    for row in [] if tiny else [*whole, *rest]:
        what = f"N = {row['N']:,}: memory beside the inputs / its bound"
        targets.append(at_most(what, 1.0, row["memory, GB"] / row["bound, GB"]))
    return result("review", QUESTION, METHOD, targets, {"Whole reviews": whole, "After the search": rest})


def reviewed(n: int, d: int) -> dict[str, float]:
    """Return what the review of such a table took, and how well it did."""
    rng = np.random.default_rng(0)
    centers = 2.0 * rng.standard_normal((N_CLASSES, d), np.float32)
    truth, y = labels(n + N_VALIDATION, rng)
    x = rng.standard_normal((len(y), d), np.float32) + centers[truth]
    before, begun = resident(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        review = dvspark.review_arrays(x[:n], y[:n], x[n:], truth[n:], k=K)
    seconds = time.process_time() - begun
    found = {"CPU seconds": seconds, "ns a pair": 1e9 * seconds / n / n, "memory, GB": most_beyond(before) / 1e9}
    return found | {"bound, GB": memory_bytes(n, N_VALIDATION, d, K) / 1e9, **flags(review.table, y != truth)}


def after_search(n: int) -> dict[str, float]:
    """Return what a review takes when neighbors are known."""
    rng = np.random.default_rng(0)
    truth, y = labels(n, rng)
    of_class = np.argsort(truth, kind="stable")
    first, size = np.searchsorted(truth[of_class], np.arange(N_CLASSES)), np.bincount(truth)
    drawn = (rng.random((n, K)) * size[truth][:, None]).astype(np.int64) + first[truth][:, None]
    near = NearTable(of_class[drawn].astype(np.int32), np.sort(1.0 + rng.random((n, K)), axis=1))
    points = np.arange(N_VALIDATION) % N_CLASSES
    beside = (rng.random((n, K)) * (N_VALIDATION // N_CLASSES)).astype(np.int64) * N_CLASSES + truth[:, None]
    near_points = NearTable(beside.astype(np.int32), np.sort(1.0 + rng.random((n, K)), axis=1))
    sides = (Side(pa.array(np.arange(len(of))), pa.array(of)) for of in (y, points))
    train, validation = sides
    values = rng.normal(size=n)
    rows = ReviewRows(train, near, 0.0, values, np.abs(values), validation, near_points)
    before, begun = resident(), time.process_time()
    review = review_rows(rows, AUTO)
    seconds = time.process_time() - begun
    searched = near_bytes(n, n, 1, K) + near_bytes(n, N_VALIDATION, 1, K)
    bound = memory_bytes(n, N_VALIDATION, 1, K) - searched
    found = {"CPU seconds": seconds, "µs a row": 1e6 * seconds / n, "memory, GB": most_beyond(before) / 1e9}
    return found | {"bound, GB": bound / 1e9, **flags(review.table, y != truth)}


def labels(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return right labels, and labels of which some are wrong."""
    truth = rng.integers(0, N_CLASSES, n)
    wrong = rng.random(n) < WRONG
    return truth, np.where(wrong, (truth + rng.integers(1, N_CLASSES, n)) % N_CLASSES, truth)


def flags(table: pa.Table, wrong: np.ndarray) -> dict[str, float]:
    """Return precision and recall of the flags."""
    flagged, wrong = table["label_issue"].to_numpy(), wrong[: len(table)]
    hits = float((flagged & wrong).sum())
    return {"flags that are right": hits / max(1, int(flagged.sum())), "wrong labels flagged": hits / int(wrong.sum())}


def resident() -> int:
    """Return the memory that this process has resident, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def most_beyond(before: int) -> int:
    """Return by how many bytes the most memory that this process has had resident is above what it had ``before``."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return max(most - before, 0)  # Linux counts the most some pages late


if __name__ == "__main__":
    run(main)
