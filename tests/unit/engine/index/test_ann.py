"""Approximate search: candidates of a FAISS index, ranked exactly; the rows it finds, and no other, get values."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blocks import N_TRAIN, TILE, built_blocks, index_of, planted_rows
from kernel_arguments import K, arguments, engine_partial
from oracles import METRICS

import dvspark
from dvspark.audit.checks import check_efficiency
from dvspark.engine.index import search
from dvspark.engine.index.index_writing import IndexWriter
from dvspark.engine.index.manifest import damaged_files
from dvspark.engine.index.train_blocks import open_block
from dvspark.engine.index.train_index import open_index
from dvspark.errors import ConfigError
from dvspark.kernels.distances import distances
from dvspark.kernels.formulas.truncated_knn_shapley import TruncatedKnnShapley
from dvspark.kernels.nearest.nearest import NearestRows, merge_nearest, near_rows, nearest_points
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.methods import METHODS
from dvspark.methods.kinds.nearest import NearestMethod
from dvspark.schemas import ChunkArrays, TrainArrays

pytest.importorskip("faiss")

METHOD = "truncated_knn_shapley"
N_ROWS = 3_000
APPROXIMATE = {"IVF32,Flat": 0.7, "IVF16,SQ8": 0.7, "HNSW16": 0.6, "PCA8,IVF16,Flat": 0.5, "PQ4x4": 0.15, "LSH": 0.15}


def rows_of(seed: int, n: int = N_ROWS, dtype: Any = np.float32) -> tuple[np.ndarray, ...]:
    """Return rows around ten centers, some of them twice, and 40 points: x, y, z, y_z."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(10, 16))
    places = rng.integers(0, 10, n + 40)
    x = (centers[places] + 0.6 * rng.normal(size=(n + 40, 16))).astype(dtype)
    x[5:9] = x[4]
    y = np.where(rng.random(n + 40) < 0.2, rng.integers(0, 3, n + 40), places % 3)
    return x[:n], y[:n], x[n:], y[n:]


def options_of(metric: str) -> RankingOptions:
    return RankingOptions(metric, "default", "id", 1)


def nearest_of(train: TrainArrays, chunk: ChunkArrays, metric: str, m: int) -> list[np.ndarray]:
    return [near.rows for near in nearest_points(train, chunk, options_of(metric), m, Workspace())]


# --- an exact index ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", ["zero", "bound"])
@pytest.mark.parametrize("self_validation", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", METRICS)
def test_index__flat_has_the_bits_of_the_exact_search(
    metric: str, dtype: Any, self_validation: bool, tail: str
) -> None:
    x, y, *validation = rows_of(1, n=400, dtype=dtype)
    arrays = (x, y) if self_validation else (x, y, *validation)
    asked = {"method": METHOD, "k": 5, "k_star": 60, "tail": tail, "metric": metric, "self_validation": self_validation}
    exact = dvspark.value_arrays(*arrays, **asked)
    np.testing.assert_array_equal(dvspark.value_arrays(*arrays, **asked, index="Flat"), exact)
    np.testing.assert_array_equal(dvspark.value_arrays(*arrays, **asked, index="exact"), exact)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the exact search meets infinite keys, and minds them
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("change", ["offset", "huge", "tiny", "far points"])
def test_index__neither_offset_nor_size_of_the_numbers_matters(metric: str, change: str) -> None:
    x, y, z, y_z = rows_of(2, n=400, dtype=np.float64)
    if change == "offset":
        x, z = x + 300.0, z + 300.0
    elif change == "far points":
        z = z * 1e12
    else:
        x, z = (part * (1e60 if change == "huge" else 1e-60) for part in (x, z))
    asked = {"method": METHOD, "k": 5, "k_star": 60, "metric": metric, "precision": "float64"}
    exact = dvspark.value_arrays(x, y, z, y_z, **asked)
    np.testing.assert_array_equal(dvspark.value_arrays(x, y, z, y_z, **asked, index="Flat"), exact)


def test_index__nothing_is_searched_where_all_rows_are_near() -> None:
    train, chunk, asked, _ = arguments(rows_of(3, n=60), method=METHOD)
    parameters = TruncatedKnnShapley(K, k_star=60)
    found = engine_partial(dataclasses.replace(train, search=Finds([3])), chunk, asked, parameters)
    np.testing.assert_array_equal(found.value, engine_partial(train, chunk, asked, parameters).value)


# --- approximate ones -------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("factory", APPROXIMATE)
def test_index__approximate_ones_find_most_rows_and_the_axiom_holds_for_these(factory: str, metric: str) -> None:
    if factory == "LSH" and metric == "inner_product":
        pytest.skip("FAISS has it for Euclidean distances only")
    n = 12_000 if factory.startswith("PQ") else N_ROWS  # it needs many rows to learn from
    train, chunk, asked, _ = arguments(rows_of(4, n=n), method=METHOD, metric=metric)
    parameters = TruncatedKnnShapley(K, k_star=50, index=factory)
    found = search.searched(train, factory, metric)
    assert found.search is not None
    pairs = list(zip(nearest_of(found, chunk, metric, 50), nearest_of(train, chunk, metric, 50), strict=True))
    recall = sum(len(np.intersect1d(rows, exact)) for rows, exact in pairs) / (50 * len(pairs))
    assert recall >= APPROXIMATE[factory]
    partial = engine_partial(found, chunk, asked, parameters)
    assert np.isfinite(partial.value).all()
    assert check_efficiency(partial.value, partial, "sum").verdict == "pass"


def test_index__the_same_rows_give_the_same_file(tmp_path: Path) -> None:
    train, chunk, *_ = arguments(rows_of(5), method=METHOD)
    for factory in ("IVF16,SQ8", "HNSW16", "LSH"):
        folders = [tmp_path / factory.replace(",", "-") / name for name in ("one", "two")]
        for folder in folders:
            folder.mkdir(parents=True)
            search.write_ann(train, factory, "euclidean", folder)
            assert [path.name for path in folder.iterdir()] == [search.FILE]
        assert len({(folder / search.FILE).read_bytes() for folder in folders}) == 1
        in_memory = nearest_of(search.searched(train, factory, "euclidean"), chunk, "euclidean", 20)
        mapped = nearest_of(search.with_search(train, "euclidean", folders[0]), chunk, "euclidean", 20)
        for rows, others in zip(in_memory, mapped, strict=True):
            np.testing.assert_array_equal(rows, others)


# --- what was not found -----------------------------------------------------------------------------------


@dataclasses.dataclass
class Finds:
    """A search that knows some rows only, and fills up with -1."""

    rows: list[int]

    def __call__(self, points: np.ndarray, m: int) -> np.ndarray:
        given = np.array((self.rows + [-1] * m)[:m])
        return np.broadcast_to(given, (len(points), m))


@pytest.mark.parametrize("tail", ["zero", "bound"])
@pytest.mark.parametrize("n_found", [1, 2, 5])
def test_found__fewer_rows_than_asked_get_the_values_they_have_alone(n_found: int, tail: str) -> None:
    (x, y, z, y_z), rows = rows_of(6, n=60), [7, 3, 11, 40, 2][:n_found]
    train, chunk, asked, _ = arguments((x, y, z, y_z), method=METHOD, k=5)
    if tail == "bound" and n_found == 5:
        tail = "zero"  # with k rows the others are in the bin, and get values too
    parameters = TruncatedKnnShapley(5, k_star=20, tail=tail)
    partial = engine_partial(dataclasses.replace(train, search=Finds(rows)), chunk, asked, parameters)
    kept = sorted(rows)
    alone = dvspark.value_arrays(x[kept], y[kept], z, y_z, method=METHOD, k=5, k_star=20, aggregate="sum")
    np.testing.assert_allclose(partial.value[kept], alone, rtol=0, atol=1e-12)
    assert np.count_nonzero(np.delete(partial.value, kept)) == 0


def test_found__nothing_at_all_is_worth_nothing() -> None:
    train, chunk, asked, _ = arguments(rows_of(7, n=60), method=METHOD)
    for tail in ("zero", "bound"):
        parameters = TruncatedKnnShapley(K, k_star=20, tail=tail)
        partial = engine_partial(dataclasses.replace(train, search=Finds([])), chunk, asked, parameters)
        assert not partial.value.any()
        assert (partial.n_validation, partial.utility, partial.empty_utility) == (40, 0.0, 0.0)
        none = NearestRows(np.empty(0, np.int64), np.empty(0, np.bool_), np.empty(0), n_matches=20)
        assert len(NearestMethod.of(METHODS[METHOD]).values(none, 60, parameters).values) == 0


def test_found__a_point_does_not_find_itself() -> None:
    x, y, *_ = rows_of(8, n=60)
    train, chunk, *_ = arguments((x, y), method=METHOD, self_validation=True)
    found = nearest_of(dataclasses.replace(train, search=Finds([*range(30)])), chunk, "euclidean", 29)
    for point, rows in enumerate(found):
        assert len(rows) == 29
        assert set(rows) <= {*range(30)} - {point}


# --- files and blocks -------------------------------------------------------------------------------------


def test_index_folder__holds_the_search_like_its_other_files(tmp_path: Path) -> None:
    data = planted_rows()
    plain = index_of(tmp_path / "plain", data.train, "cosine")
    assert plain.arrays.search is None
    writer = IndexWriter(tmp_path / "index", len(data.train.x), data.train.x.shape[1], "float32")
    writer.append(data.train.x, plain.keys)
    reference = writer.finish("cosine", "Flat")
    assert damaged_files(tmp_path / "index", reference.digest) == []
    opened = open_index(tmp_path / "index")
    assert opened.arrays.search is not None
    chunk = ChunkArrays(data.validation.x, [np.zeros(1, np.int32)] * len(data.validation.x))
    for rows, exact in zip(
        nearest_of(opened.arrays, chunk, "cosine", 9), nearest_of(plain.arrays, chunk, "cosine", 9), strict=True
    ):
        np.testing.assert_array_equal(rows, exact)
    (tmp_path / "index" / search.FILE).write_bytes(b"")
    assert damaged_files(tmp_path / "index", reference.digest) == [search.FILE]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("factory", ["exact", "Flat", "IVF1,Flat"])
def test_blocks__have_an_index_each_and_merge_to_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factory: str, metric: str
) -> None:
    monkeypatch.setattr(distances, "TILE_ROWS", TILE)
    data = planted_rows()
    whole = index_of(tmp_path / "index", data.train, metric).arrays
    reference = built_blocks(tmp_path / "blocks", data.train, metric, 5 * TILE, factory)
    blocks = [open_block(reference, number) for number in range(reference.n_blocks)]
    # 40 rows are enough for one list, the 21 of the last block are not: it is searched exactly.
    searched = {"exact": [False, False], "Flat": [True, True], "IVF1,Flat": [True, False]}[factory]
    assert [block.train.search is not None for block in blocks] == searched
    chunk = ChunkArrays(data.validation.x, [np.zeros(1, np.int32)] * len(data.validation.x))
    asked = options_of(metric)
    parts = [list(near_rows(b.train, chunk, asked, 7, Workspace(), b.first_row)) for b in blocks]
    for point, exact in enumerate(nearest_of(whole, chunk, metric, 7)):
        merged = merge_nearest([part[point] for part in parts], 7, metric)
        np.testing.assert_array_equal(merged.rows, exact)
    assert sum(block.train.n_train for block in blocks) == N_TRAIN


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ("IFV32,Flat", "could not parse"),
        ("IVF32,", "could not parse"),
        ("IVF999999999,Flat", "numbers of up to 7 digits"),
        ("PQ7", "multiple of the number of subquantizers"),
        ("IVF1024,Flat", "39936 training rows or more"),
        ("  ", "a text"),
        (3, "a text"),
    ],
)
def test_index__refuses_what_faiss_cannot_make(index: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        dvspark.value_arrays(*rows_of(9, n=500), method=METHOD, k=5, k_star=50, index=index)


def test_index__refuses_a_metric_the_index_has_not() -> None:
    with pytest.raises(ConfigError, match="METRIC_L2"):
        dvspark.value_arrays(*rows_of(9, n=99), method=METHOD, k=5, k_star=50, index="LSH", metric="inner_product")


def test_index__a_string_of_no_factory_is_refused_before_the_tables_are_read() -> None:
    method = METHODS[METHOD]
    assert [p.where for p in method.parameter_problems({"k_star": 50, "index": "nonsense"})] == ["parameter 'index'"]
    # Whether these can be made is told by the dimension of the rows.
    assert method.parameter_problems({"k_star": 50, "index": "PQ7"}) == []
    assert method.parameter_problems({"k_star": 50, "index": "PCA200,Flat"}) == []


def test_index__without_the_extra_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    arrays = rows_of(9, n=60)
    with pytest.raises(ConfigError, match=r"pip install 'dvspark\[ann\]'"):
        dvspark.value_arrays(*arrays, method=METHOD, k=5, k_star=50, index="Flat")
    dvspark.value_arrays(*arrays, method=METHOD, k=5, k_star=50)


def test_index__other_methods_have_none() -> None:
    with pytest.raises(ConfigError, match="a parameter of knn_shapley"):
        dvspark.value_arrays(*rows_of(9, n=60), method="knn_shapley", k=5, index="Flat")
