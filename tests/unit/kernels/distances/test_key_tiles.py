"""Keys by int8 products: within their bounds of exact keys, and the same results as by float32 products."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import METRICS
from property_tests import examples

from dvspark.kernels.distances import distances, key_tiles, product_speed
from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.distances.key_tiles import KeyTiles
from dvspark.kernels.distances.quantized import MOST_FEATURES, Quantized, quantize
from dvspark.kernels.nearest import nearest
from dvspark.kernels.radius import radius as radius_kernel
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import ChunkArrays, TrainArrays, TrainLabels

SEEDS = st.integers(0, 2**32 - 1)
TILE, N_TILES, N_POINTS = 64, 12, 6
FAMILIES = [
    "normal",
    "clusters",
    "near copies",
    "offset",
    "integers",
    "outlying feature",
    "sizes",
    "tiny",
    "huge",
    "one",
]


def rows_of(family: str, seed: int, n: int, n_features: int = 24) -> np.ndarray:
    """Embeddings of one kind, float32 or float64."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, n_features))
    match family:
        case "clusters":
            x = 0.05 * x + 3 * rng.normal(size=(7, n_features))[rng.integers(0, 7, n)]
        case "near copies":
            x = rng.normal(size=(5, n_features))[rng.integers(0, 5, n)] * (1 + 1e-7 * rng.integers(0, 3, size=(n, 1)))
        case "offset":
            x += 1e3 * rng.normal(size=n_features)
        case "integers":
            x = rng.integers(1, 4, size=(n, n_features)).astype(float)
        case "outlying feature":
            x[:, 3] *= 200
        case "sizes":
            x *= np.exp(rng.normal(scale=4, size=(n, 1)))
        case "tiny":
            x *= 1e-22
        case "huge":
            x *= 1e17
        case "one":
            x = np.repeat(x[:1], n, axis=0)
    return x.astype(rng.choice([np.float32, np.float64]))


def table_of(family: str, seed: int, metric: str) -> tuple[TrainArrays, ChunkArrays]:
    n = N_TILES * TILE - seed % TILE
    x, labels = rows_of(family, seed, n + N_POINTS), np.random.default_rng(seed).integers(0, 3, n).astype(np.int32)
    codes = [np.array([point % 3], np.int32) for point in range(N_POINTS)]
    return prepare(x[N_POINTS:], TrainLabels(labels), metric), ChunkArrays(x[:N_POINTS], codes)


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "TILE_ROWS", TILE)
    monkeypatch.setattr(nearest, "ROWS_BEFORE_INT8", 8)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("family", FAMILIES)
@examples(15)
@given(seed=SEEDS)
def test_int8_keys__are_within_their_bounds_of_exact_keys(family: str, metric: str, seed: int) -> None:
    train, chunk = table_of(family, seed, metric)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(product_speed.CHOICE_VARIABLE, "int8")
        tiles = KeyTiles(train, chunk.x, metric, Workspace(), 2.0**-50)
    for start in tiles.starts:
        tile = tiles.int8(start)
        rows = np.arange(tile.n_rows)
        for point, z in enumerate(chunk.x):
            points = np.full(len(rows), point)
            exact = distances.exact_keys(train.x, start + rows, z, metric)
            errors = tile.bounds.errors(points, tile.terms)
            found = tile.keys_at(points, rows) + tiles.constants[point]
            assert np.all((np.abs(found - exact) <= errors) | ~np.isfinite(errors))
            assert (errors <= tile.largest_errors()[point]).all()
            if family == "normal":
                assert np.isfinite(errors).all()
                assert (errors < 0.2 * (np.abs(exact) + np.abs(tiles.constants[point]) + tile.terms[2])).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("family", FAMILIES)
@examples(10)
@given(seed=SEEDS, m=st.integers(1, 40))
def test_int8_products__find_the_same_near_rows_and_neighbors(family: str, metric: str, seed: int, m: int) -> None:
    train, chunk = table_of(family, seed, metric)
    options = RankingOptions(metric, "default", "id", 1)
    found = []
    for products in ("float32", "int8"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(product_speed.CHOICE_VARIABLE, products)
            near = list(nearest.nearest_points(train, chunk, options, m, Workspace()))
            far = near[0].farthest
            blocks = radius_kernel.neighbor_blocks(train, chunk, options, far, Workspace())
            bits = [block.bits.tobytes() for block in blocks]
        of_points = [(of.rows.tobytes(), of.matches.tobytes(), of.distances.tobytes(), of.n_matches) for of in near]
        found.append((of_points, bits))
    assert found[0] == found[1]


def test_int8_products__are_taken_and_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    for name in ("float32", "int8"):
        made = getattr(KeyTiles, name)
        monkeypatch.setattr(
            KeyTiles, name, lambda self, at, made=made, name=name: (taken.append(name), made(self, at))[1]
        )
    options = RankingOptions("euclidean", "default", "id", 1)
    monkeypatch.setenv(product_speed.CHOICE_VARIABLE, "int8")

    def taken_for(family: str, radius: float | None) -> list[str]:
        taken.clear()
        train, chunk = table_of(family, 0, "euclidean")
        if radius is None:
            list(nearest.nearest_points(train, chunk, options, 2, Workspace()))
        else:
            list(radius_kernel.neighbor_blocks(train, chunk, options, radius, Workspace()))
        return list(taken)

    assert taken_for("clusters", 3.0) == ["int8"] * N_TILES
    assert taken_for("one", None).count("int8") == 1
    assert taken_for("one", 0.0) == ["int8"] + ["float32"] * N_TILES
    assert set(taken_for("clusters", None)) == {"float32", "int8"}
    monkeypatch.setattr(key_tiles, "LEAST_TILES", N_TILES + 1)
    assert "int8" not in taken_for("clusters", 3.0)


@pytest.mark.parametrize("library", ["numkong", "numpy"])
@examples(30)
@given(seed=SEEDS, n=st.integers(1, 40), n_features=st.integers(1, 2_500))
def test_integer_products__are_exact(library: str, seed: int, n: int, n_features: int) -> None:
    rng = np.random.default_rng(seed)
    codes, others = (rng.choice([-127, 127, 5], (rows, n_features)).astype(np.int8) for rows in (n, 17))
    codes[0] = others[0] = 127
    found = np.empty((n, 17), np.int32)
    with pytest.MonkeyPatch.context() as patch:
        if library == "numpy":
            patch.setattr(product_speed, "numkong", lambda: None)
        product_speed.integer_products(codes, others, found)
    np.testing.assert_array_equal(found, codes.astype(np.int64) @ others.T.astype(np.int64))


def test_integer_products__of_the_most_features_stay_within_int32() -> None:
    codes, found = np.full((2, MOST_FEATURES), 127, np.int8), np.empty((2, 2), np.int32)
    product_speed.integer_products(codes, -codes, found)
    assert found.tolist() == [[-(127**2) * MOST_FEATURES] * 2] * 2


def test_int8_is_faster__is_a_choice_or_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    product_speed.numkong.cache_clear()
    monkeypatch.setenv(product_speed.CHOICE_VARIABLE, "int8")
    assert product_speed.int8_is_faster(3, 5)
    assert not product_speed.int8_is_faster(3, MOST_FEATURES + 1)
    monkeypatch.setenv(product_speed.CHOICE_VARIABLE, "float32")
    assert not product_speed.int8_is_faster(3, 5)
    monkeypatch.delenv(product_speed.CHOICE_VARIABLE)
    monkeypatch.setattr(product_speed, "numkong", lambda: product_speed)
    for gain in (1.19, 1.21):
        monkeypatch.setattr(product_speed, "gain", lambda *shape, gain=gain: gain * (shape == (4, 5)))
        assert product_speed.int8_is_faster(3, 5) == (gain > 1.2)
    monkeypatch.setattr(product_speed, "numkong", lambda: None)
    assert not product_speed.int8_is_faster(3, 5)


def test_numkong__is_not_taken_if_it_is_missing_or_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong:
        """A library whose products are off."""

        def dots_pack(self, rows: Any) -> Any:
            return rows

        def from_dlpack(self, array: Any) -> Any:
            return array

        def dots_packed(self, codes: Any, others: Any, out: Any) -> None:
            out[:] = codes.astype(np.int32) @ others.T.astype(np.int32)
            out[0, 0] += 1

    for module in (Wrong(), None):
        product_speed.numkong.cache_clear()
        monkeypatch.setitem(sys.modules, "numkong", module)
        assert product_speed.numkong() is None
    product_speed.numkong.cache_clear()


def test_gain__is_measured() -> None:
    assert 0.0 < product_speed.gain(8, 64) < 1e4


def test_quantized__lengths_are_those_of_what_the_codes_stand_for() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 9)).astype(np.float32)
    found: Quantized = quantize(rows, np.empty((5, 9), np.int8))
    np.testing.assert_allclose(found.lengths(), np.linalg.norm(found.codes * found.steps[:, None], axis=1))
