"""The plan: which clause holds, with which numbers; and what is said when none does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.engine.chunks import WAVE_CHUNKS, count_chunks, pieces
from dvspark.engine.planning import plan, sizes
from dvspark.engine.planning.plan import Hosts, Plan, host_memory_problems, make_plan, turning_point
from dvspark.engine.planning.sizes import Sizes
from dvspark.errors import ComputeError, ConfigError
from dvspark.kernels.distances.distances import TILE_ROWS
from dvspark.kernels.memory import scratch_bytes
from dvspark.kernels.nearest import nearest
from dvspark.kernels.radius import radius
from dvspark.methods import METHODS
from dvspark.methods.base import VALUING_ROW_BYTES
from dvspark.methods.options import ValueOptions

GIB = 2**30
SIZES: dict[str, Any] = {"n_train": 1_000_000, "n_validation": 10_000, "n_features": 256}
INDEX_BYTES = 1_000_000 * (256 * 4 + sizes.BESIDE_BYTES)


@pytest.fixture(autouse=True)
def _whole_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an index take all of a host's memory, so that bytes are round."""
    monkeypatch.setattr(plan, "HOST_SHARE", 1.0)


def plan_of(
    memory_bytes: int = 64 * GIB, *, n_tasks: int = 4, chunk_rows: int = 256, asked: str = "auto", **changes: Any
) -> Plan:
    hosts = Hosts(n_tasks, n_tasks, memory_bytes)
    return make_plan(Sizes(**{**SIZES, **changes}), hosts, chunk_rows=chunk_rows, asked=asked)


def refusal_of(*arguments: Any, **changes: Any) -> Any:
    with pytest.raises(ComputeError) as caught:
        plan_of(*arguments, **changes)
    assert caught.value.exit_code == 5
    (problem,) = caught.value.problems
    return problem


def test_make_plan__counts_chunks_waves_and_bytes() -> None:
    found = plan_of()
    assert (found.name, found.chunk_rows) == ("replicated", 256)
    assert (found.n_chunks, found.n_waves) == (40, 1)
    assert (found.block_rows, found.n_blocks) == (1_000_000, 1)
    assert found.index_bytes == INDEX_BYTES
    assert found.worker_bytes == scratch_bytes(1_000_000, 256) + 256 * 256 * 4
    assert found.shuffle_bytes == INDEX_BYTES + 40 * 16 * 1_000_000
    assert plan_of(row_bounds=True).shuffle_bytes == INDEX_BYTES + 40 * 24 * 1_000_000
    assert found.flops == 2 * 1_000_000 * 256 * 10_000


def test_make_plan__float64_takes_twice_the_bytes() -> None:
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
def test_make_plan__rounds_chunks_and_waves_up(n_validation: int, chunk_rows: int, n_chunks: int, n_waves: int) -> None:
    found = plan_of(n_validation=n_validation, chunk_rows=chunk_rows)
    assert (found.n_chunks, found.n_waves) == (n_chunks, n_waves)
    assert n_chunks == count_chunks(n_validation, chunk_rows)
    assert n_waves == len(pieces(list(range(n_chunks))))
    assert WAVE_CHUNKS == 64


# --- clauses ----------------------------------------------------------------------------------------------


def test_clause_1__the_plan_that_is_asked_for_is_taken() -> None:
    found = plan_of(asked="sharded")
    assert (found.name, found.reason[:26]) == ("sharded", "1. plan: sharded is set; i")
    assert (
        plan_of(asked="replicated").reason
        == "1. plan: replicated is set; index of 1.0 GiB, 64.0 GiB, 100% of a host's memory"
    )


def test_clause_1__replicated_that_does_not_fit_is_refused_with_its_numbers() -> None:
    problem = refusal_of(INDEX_BYTES - 1, asked="replicated")
    assert problem.where == "plan: replicated"
    assert problem.expected == "an index of at most 1.0 GiB, 100% of a host's memory"
    assert problem.got == "1.0 GiB for 1000000 rows of 256 float32"
    assert "plan: sharded" in problem.hint


def test_clause_2__an_index_that_just_fits_is_replicated() -> None:
    found = plan_of(INDEX_BYTES)
    assert (found.name, found.reason) == ("replicated", "2. index of 1.0 GiB fits 1.0 GiB, 100% of a host's memory")


def test_clause_3__an_index_that_does_not_fit_is_sharded() -> None:
    found = plan_of(INDEX_BYTES - 1, n_tasks=2, ranking="binned")
    assert (found.name, found.reason[:29]) == ("sharded", "3. index of 1.0 GiB does not ")
    assert (found.block_rows, found.n_blocks) == (21 * TILE_ROWS, 12)
    partials, near = 40 * 16 * 1_000_000, (34_000 + 12 * 1_000) * 20
    tables = 12 * (96 + 2) * 1024 + 128 * 1024
    assert found.shuffle_bytes == INDEX_BYTES + partials + 10_000 * (tables + near)


def test_clause_3__sorted_distances_travel_and_one_task_ranks_all_of_a_point() -> None:
    found = plan_of(asked="sharded", n_tasks=2)
    assert found.shuffle_bytes == INDEX_BYTES + 10_000 * 4 * 1_000_000
    assert found.worker_bytes == max(
        scratch_bytes(1_000_000, 0), scratch_bytes(found.block_rows, 256, table_rows=1_000_000) + 256 * 256 * 4
    )


def test_make_plan__methods_that_rank_near_rows_only_exchange_those() -> None:
    found = plan_of(asked="sharded", n_tasks=2, method=METHODS["truncated_knn_shapley"], n_nearest=100)
    assert found.shuffle_bytes == INDEX_BYTES + 40 * 16 * 1_000_000 + 10_000 * found.n_blocks * 100 * 33
    kernel = nearest.scratch_bytes(found.block_rows, 256, 100) + 256 * 256 * 4
    assert found.worker_bytes == max(kernel, VALUING_ROW_BYTES * 1_000_000)
    whole = plan_of(method=METHODS["truncated_knn_shapley"], n_nearest=100)
    assert whole.worker_bytes == nearest.scratch_bytes(1_000_000, 256, 100) + 256 * 256 * 4
    assert whole.shuffle_bytes == plan_of().shuffle_bytes


def test_make_plan__methods_that_count_neighbors_exchange_two_numbers() -> None:
    found = plan_of(asked="sharded", n_tasks=2, method=METHODS["threshold_knn_shapley"])
    assert found.shuffle_bytes == INDEX_BYTES + 40 * 16 * 1_000_000 + 10_000 * found.n_blocks * 16
    kernel = radius.scratch_bytes(found.block_rows, 256) + 256 * 256 * 4
    assert found.worker_bytes == max(kernel, VALUING_ROW_BYTES * 1_000_000)


@pytest.mark.parametrize(
    ("method", "parameters", "kind", "n_nearest", "asked"),
    [
        ("knn_shapley", {}, "ranking", 0, "binned ranking"),
        ("knn_regression_shapley", {}, "ordered", 0, "sorted ranking"),
        ("threshold_knn_loo", {}, "radius", 0, "rows within a radius"),
        ("truncated_knn_shapley", {"epsilon": 0.0005}, "nearest", 2_000, "2,000 nearest rows"),
        ("knn_loo", {"k": 3}, "nearest", 4, "4 nearest rows"),
        ("chg_shapley", {}, "sums", 0, "sums"),
    ],
)
def test_sizes__say_what_a_method_asks_of_the_training_rows(
    method: str, parameters: dict[str, Any], kind: str, n_nearest: int, asked: str
) -> None:
    found = Sizes.of(ValueOptions(method, parameters), **SIZES, dtype="float32")
    assert (found.method.kind, found.n_nearest, found.asked) == (kind, n_nearest, asked)


def test_sizes__too_few_rows_for_a_method_are_refused() -> None:
    options = ValueOptions("cleanlab_knn_shapley", {"k": 10}, self_validation=True)
    sizes = {"n_validation": 11, "n_features": 4, "dtype": "float32"}
    assert Sizes.of(options, n_train=11, **sizes).n_nearest == 10
    with pytest.raises(ConfigError, match="k"):
        Sizes.of(options, n_train=10, **sizes)


@pytest.mark.parametrize("asked", ["auto", "sharded"])
def test_clause_4__a_worker_without_room_for_one_tile_is_refused(asked: str) -> None:
    problem = refusal_of(GIB // 4, asked=asked, ranking="binned")
    assert problem.where == "memory of a worker"
    assert problem.expected == "at most 64.0 MiB for each of 4 tasks on a host"
    assert f"MiB for a block of {TILE_ROWS} rows of 256 float32, binned" in problem.got
    assert all(words in problem.hint for words in ("more memory", "spark.executor.cores"))


def test_clause_4__a_sort_that_does_not_fit_points_to_bins() -> None:
    memory = 4 * (scratch_bytes(1_000_000, 0) - 1)
    assert "ranking: binned" in refusal_of(memory, asked="sharded").hint
    assert plan_of(memory, asked="sharded", ranking="binned").name == "sharded"


@pytest.mark.parametrize("method", ["threshold_knn_shapley", "truncated_knn_shapley"])
def test_clause_4__methods_that_do_not_rank_are_not_sent_to_bins(method: str) -> None:
    problem = refusal_of(2**20, asked="sharded", method=METHODS[method], n_nearest=10)
    assert "ranking" not in problem.hint
    assert ("within a radius" if method == "threshold_knn_shapley" else "10 nearest rows") in problem.got


# --- blocks -----------------------------------------------------------------------------------------------


@given(
    n_train=st.integers(1, 30_000_000),
    n_features=st.integers(1, 4096),
    n_tasks=st.integers(1, 512),
    memory_gib=st.integers(1, 2048),
    dtype=st.sampled_from(["float32", "float64"]),
    ranking=st.sampled_from(["sorted", "binned"]),
)
def test_block_rows__are_whole_tiles_and_cover_the_rows_within_all_limits(
    n_train: int, n_features: int, n_tasks: int, memory_gib: int, dtype: str, ranking: str
) -> None:
    sizes = Sizes(n_train, 100, n_features, dtype, ranking=ranking)
    hosts = Hosts(n_tasks, min(n_tasks, 32), memory_gib * GIB)
    try:
        found = make_plan(sizes, hosts, chunk_rows=256, asked="sharded")
    except ComputeError:
        return
    rows, n_blocks = found.block_rows, found.n_blocks
    assert rows > 0
    assert rows % TILE_ROWS == 0
    assert (n_blocks - 1) * rows < n_train <= n_blocks * rows
    held = min(rows, n_train) * sizes.row_bytes
    assert held + found.worker_bytes <= hosts.share_bytes // hosts.n_tasks_here
    if rows > TILE_ROWS:  # one tile is the least there is
        assert rows <= n_train / 8
        assert held <= GIB
        assert n_blocks >= 2 * n_tasks or (ranking == "binned" and n_blocks >= 8)


@pytest.mark.parametrize("n_features", [64, 4_096])
@pytest.mark.parametrize("n_tasks", [8, 64, 256, 1_024, 4_096])
def test_block_rows__are_about_those_of_the_shortest_job(n_features: int, n_tasks: int) -> None:
    n_points, chunk_rows = 16_384, 256
    sizes = Sizes(10_000_000, n_points, n_features, "float32", ranking="binned")
    found = make_plan(sizes, Hosts(n_tasks, 8, 512 * GIB), chunk_rows=chunk_rows, asked="sharded")

    def seconds(n_blocks: int) -> float:
        """A job has one chunk. Products by block, then merging by point: 0.5 ms for what a block tells of a point.

        A block has two tasks, which start one after the other, 5 ms each.
        """
        products = chunk_rows * sizes.n_train * (4e-9 + 2e-11 * n_features)
        merging = chunk_rows / min(n_tasks, chunk_rows) * n_blocks * 0.5e-3
        return products / min(n_blocks, n_tasks) + merging + n_blocks * 1e-2

    from_memory = -(-sizes.index_bytes // GIB)  # no block has more
    possible = range(max(8, from_memory), max(9, from_memory + 1, 2 * n_tasks + 1))
    assert seconds(found.n_blocks) <= 1.25 * min(map(seconds, possible))


def test_block_rows__are_two_for_each_core_where_what_travels_does_not_grow_with_the_blocks() -> None:
    sizes = Sizes(10_000_000, 16_384, 64, "float32", ranking="sorted")
    found = make_plan(sizes, Hosts(512, 8, 4_096 * GIB), chunk_rows=256, asked="sharded")
    assert 1_024 <= found.n_blocks < 1.25 * 1_024


def test_block_rows__of_a_small_table_are_one_tile() -> None:
    found = plan_of(asked="sharded", n_train=100)
    assert (found.block_rows, found.n_blocks) == (TILE_ROWS, 1)


# --- what would change it ---------------------------------------------------------------------------------


def test_turning_point__is_where_the_plan_changes() -> None:
    sizes, hosts = Sizes(**SIZES), Hosts(4, 4, 2 * INDEX_BYTES)
    found = turning_point(sizes, hosts)
    assert found == "sharded above 2,000,000 rows of this kind, or below 1.0 GiB of host_memory"
    assert plan_of(2 * INDEX_BYTES, n_train=2_000_000).name == "replicated"
    assert plan_of(2 * INDEX_BYTES, n_train=2_000_001, ranking="binned").name == "sharded"


def test_turning_point__of_a_sharded_plan_is_the_way_back() -> None:
    found = turning_point(Sizes(**SIZES), Hosts(4, 4, INDEX_BYTES // 2))
    assert found == "replicated up to 500,000 rows of this kind, or from 1.0 GiB of host_memory"


@pytest.mark.parametrize(("memory_bytes", "name"), [(INDEX_BYTES, "replicated"), (INDEX_BYTES - 1, "sharded")])
def test_turning_point__of_a_plan_asked_for_is_not_to_ask(memory_bytes: int, name: str) -> None:
    found = turning_point(Sizes(**SIZES), Hosts(4, 4, memory_bytes), asked="sharded")
    assert found == f"plan: auto, which chooses {name} here"


# --- settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", ["4g", "512m", "1.5G", "64k", "1tb", " 2g "])
def test_host_memory_problems__takes_sizes(size: str) -> None:
    assert host_memory_problems(size) == []


@pytest.mark.parametrize("size", ["", "4", "g", "-1g", "4 x", "0g", 4, True])
def test_host_memory_problems__names_what_is_no_size(size: object) -> None:
    (problem,) = host_memory_problems(size)
    assert (problem.where, problem.got) == ("host_memory", repr(size))
    assert "4g" in problem.hint


def test_host_memory_problems__may_be_left_out() -> None:
    assert host_memory_problems(None) == []


def test_record__is_plain_data() -> None:
    found = plan_of()
    record = json.loads(json.dumps(found.record()))
    assert Plan(**record) == found


def test_hosts__leave_memory_to_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 0.3 < Hosts(1, 1, 1000).share_bytes / 1000 < 0.9
