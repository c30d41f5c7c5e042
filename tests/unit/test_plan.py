"""The plan: which clause holds, with which numbers; and what is said when none does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dvspark.engine import plan
from dvspark.engine.chunks import WAVE_CHUNKS, count_chunks, waves
from dvspark.engine.plan import Plan, make_plan
from dvspark.errors import ComputeError
from dvspark.kernels.memory import scratch_bytes

SIZES: dict[str, Any] = {
    "n_train": 1_000_000,
    "n_validation": 10_000,
    "n_features": 256,
    "dtype": "float32",
    "ties": "id",
    "chunk_rows": 256,
}
INDEX_BYTES = 1_000_000 * (256 * 4 + plan.KEY_BYTES)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the host so much memory that an index of that many bytes is just allowed."""

    def set_memory(n_bytes: int) -> None:
        sizes = {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": n_bytes}
        monkeypatch.setattr(plan, "HOST_SHARE", 1.0)
        monkeypatch.setattr(plan.os, "sysconf", sizes.__getitem__)

    return set_memory


def plan_of(**changes: Any) -> Plan:
    return make_plan(**{**SIZES, **changes})


def test_make_plan__counts_chunks_waves_and_bytes(host: Any) -> None:
    host(64 * 2**30)
    found = plan_of()
    assert (found.name, found.chunk_rows) == ("replicated", 256)
    assert (found.n_chunks, found.n_waves) == (40, 1)
    assert found.index_bytes == INDEX_BYTES
    assert found.worker_bytes == scratch_bytes(1_000_000, 256) + 256 * 256 * 4


def test_make_plan__says_which_clause_won_and_why(host: Any) -> None:
    host(64 * 2**30)
    assert plan_of().reason == "1. index of 1.0 GiB fits 64.0 GiB, 100% of a host's memory"
    assert plan_of(n_train=1000).reason.startswith("1. index of 1.0 MiB fits 64.0 GiB")


def test_make_plan__float64_takes_twice_the_bytes(host: Any) -> None:
    host(64 * 2**30)
    single, double = plan_of(), plan_of(dtype="float64")
    assert double.index_bytes - single.index_bytes == 1_000_000 * 256 * 4
    assert double.worker_bytes - single.worker_bytes == 256 * 256 * 4


@pytest.mark.parametrize(
    ("n_validation", "chunk_rows", "n_chunks", "n_waves"),
    [
        (1, 256, 1, 1),
        (256, 256, 1, 1),
        (257, 256, 2, 1),
        (64 * 256, 256, 64, 1),
        (64 * 256 + 1, 256, 65, 2),
        (7, 1, 7, 1),
    ],
)
def test_make_plan__rounds_chunks_and_waves_up(
    host: Any, n_validation: int, chunk_rows: int, n_chunks: int, n_waves: int
) -> None:
    host(64 * 2**30)
    found = plan_of(n_validation=n_validation, chunk_rows=chunk_rows)
    assert (found.n_chunks, found.n_waves) == (n_chunks, n_waves)
    assert n_chunks == count_chunks(n_validation, chunk_rows)
    assert n_waves == len(waves(list(range(n_chunks))))
    assert WAVE_CHUNKS == 64


def test_make_plan__an_index_that_just_fits_is_replicated(host: Any) -> None:
    host(INDEX_BYTES)
    assert plan_of().name == "replicated"


def test_make_plan__an_index_that_does_not_fit_is_refused_with_its_numbers(host: Any) -> None:
    host(INDEX_BYTES - 1)
    with pytest.raises(ComputeError) as caught:
        plan_of()
    (problem,) = caught.value.problems
    assert caught.value.exit_code == 5
    assert problem.where == "train index"
    assert problem.expected == "at most 1.0 GiB"
    assert problem.got == "1.0 GiB for 1000000 rows of 256 float32"
    assert "more memory" in problem.hint


def test_make_plan__leaves_memory_to_the_workers() -> None:
    assert 0.3 < plan.HOST_SHARE < 0.9


def test_record__is_plain_data(host: Any) -> None:
    host(64 * 2**30)
    found = plan_of()
    record = json.loads(json.dumps(found.record()))
    assert Plan(**record) == found
