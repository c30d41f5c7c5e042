"""docs/scale.md has the tables of the stored simulation; the simulation follows the arithmetic where that is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench_checks import check_result

from tests.bench import performance_page, scale
from tests.bench.simulated_cluster import Cluster, Rates, Work, job_seconds, stage_seconds

ROOT = Path(__file__).parents[2]
EQUAL = Rates(row=1e-9, table_row=0.0, point=0.0, part=1e-5, added_row=0.0, byte=0.0, task=0.0, job=0.0, spread=(1.0,))
FOUR = Cluster(n_hosts=2, n_cores=2, memory_bytes=2**40)


@pytest.mark.parametrize(("n_tasks", "turns"), [(1, 1), (4, 1), (5, 2), (8, 2), (9, 3)])
def test_equal_tasks__end_after_as_many_turns_as_cores_need(n_tasks: int, turns: int) -> None:
    rng = np.random.default_rng(0)
    assert stage_seconds(n_tasks, 3.0, FOUR, EQUAL, rng) == pytest.approx(3.0 * turns)


def test_driver__starts_one_task_after_the_other() -> None:
    slow = replace(EQUAL, task=0.5)
    assert stage_seconds(20, 0.1, FOUR, slow, np.random.default_rng(0)) == pytest.approx(19 * 0.5 + 0.1)


def test_job__is_the_sum_of_its_parts() -> None:
    sizes = {"n_blocks": 8, "block_rows": 1_000, "part_bytes": 1_000, "table_bytes": 2_000}
    work = Work(2, 256, **sizes, block_bytes=0, partial_bytes=10**6)
    rates = replace(EQUAL, table_row=1e-6, job=2.0)
    found = job_seconds(work, FOUR, rates, np.random.default_rng(0))
    assert found["parts"] == pytest.approx(2 * 512 * 1_000 * 1e-9)
    # Two tasks for each chunk, each of which makes tables over all rows.
    assert found["merge"] == pytest.approx(128 * 8 * 1e-5 + 8_000 * 1e-6)
    assert found["driver"] == pytest.approx(2.0)
    # Half of all bytes have to go to the other host, over two links.
    assert found["parts travel"] == pytest.approx(512 * 8 * 1_000 / 2 / (2 * EQUAL.network_bytes))


def test_slow_host__makes_a_stage_longer_and_speculation_shorter_again() -> None:
    slow = replace(FOUR, n_hosts=20, slow=1, slowness=10.0)
    took = [
        stage_seconds(40, 1.0, one, EQUAL, np.random.default_rng(0))
        for one in (replace(slow, slow=0), slow, replace(slow, speculates=True))
    ]
    assert took[0] == pytest.approx(1.0)
    assert took[1] == pytest.approx(10.0)
    # Started again once it took three times the median, on a core that is free.
    assert took[2] == pytest.approx(4.0)


def test_table_beyond_memory__is_read_again() -> None:
    none = {"part_bytes": 0, "table_bytes": 0, "partial_bytes": 0}
    work = Work(1, 256, n_blocks=4, block_rows=1_000, block_bytes=10**9, **none)
    small = replace(FOUR, memory_bytes=2**30)
    within, beyond = (job_seconds(work, one, EQUAL, np.random.default_rng(0))["parts"] for one in (FOUR, small))
    assert beyond - within == pytest.approx(10**9 * 2 / EQUAL.disk_bytes)


def test_page__has_the_stored_tables() -> None:
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    stored = json.loads((performance_page.RESULTS / "scale.json").read_text(encoding="utf-8"))
    assert stored["question"] == scale.QUESTION
    for rows in list(stored["tables"].values())[1:]:
        assert performance_page.table(rows) in page


@pytest.mark.long
def test_scale__runs_tiny() -> None:
    result = scale.main(tiny=True)
    check_result(result, scale)
    jobs = result["tables"]["Jobs of 16,384 points"]
    assert [(row["N"], row["hosts"]) for row in jobs] == [
        (n, hosts) for n in scale.N_ROWS for hosts in scale.TINY_HOSTS
    ]
    assert all(row["stragglers, s"] >= row["in all, s"] * 0.99 for row in jobs)
