"""Every method under every plan: replicated, those of `value_arrays`; sharded, the same bits from several blocks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from frames import Data, draw_data, frame_of, frames_of

from dvspark.arrays.array_inputs import Given, read_array_inputs
from dvspark.arrays.array_values import array_totals
from dvspark.engine.tasks import ChunkWork
from dvspark.kernels.distances.distances import TILE_ROWS
from dvspark.methods import GAMES, METHODS
from dvspark.methods.kinds.radius import RadiusMethod
from dvspark.methods.options import ValueOptions
from dvspark.privacy import sampled_rows
from dvspark.schemas import Float64s, Partial

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from dvspark.engine.index.train_blocks import BlocksReference
    from dvspark.engine.index.train_index import IndexReference

    Index = IndexReference | BlocksReference

pytestmark = pytest.mark.spark

# Four tiles, the last of them short.
N_TRAIN, N_VALIDATION, N_CHUNKS = 3 * TILE_ROWS + 501, 24, 2
# The order of additions may differ between the engines, and in float64 nothing else.
ROUNDING = 1e-12
# Beyond the rows that stand in exact order, float32 keys of products of different shapes may swap neighbors in rank.
SWAPS = 1e-6
# In place of noise, for noise would be another one at each call.
OFFSET = np.array([-2, 3])
KEY = bytes(range(32))


def _drawn(n_train: int, seed: int, label_type: str = "bigint") -> Data:
    """Return rows with ties, string ids, and an owner and a weight each."""
    kind = "bigint" if label_type == "double" else label_type
    data = draw_data(n_train, N_VALIDATION, seed=seed, n_features=4, id_type="string", label_type=kind)
    rng = np.random.default_rng(seed)
    columns = {
        "owner": [f"owner {number}" for number in rng.integers(0, 40, n_train)],
        "weight": rng.integers(0, 9, n_train).astype(float).tolist(),
    }
    sides = {"train": replace(data.train, columns=columns), "validation": data.validation}
    if label_type == "double":
        sides = {name: replace(side, labels=rng.normal(size=len(side)).tolist()) for name, side in sides.items()}
    types = {**data.types, "label": label_type, "owner": "string", "weight": "double"}
    return Data(sides["train"], sides["validation"], types)


N_BLOCKS = {"plain": 2, "multi": 4, "numbers": 2, "small": 1}
DATA = {
    "plain": _drawn(N_TRAIN, 71),
    "multi": _drawn(N_TRAIN, 72, "array<bigint>"),
    "numbers": _drawn(N_TRAIN, 73, "double"),
    "small": _drawn(300, 74),
}


@dataclass(frozen=True)
class Case:
    """Options of a method beside its parameters, the data they are for, and how far the engines may be apart."""

    parameters: dict[str, Any] = field(default_factory=dict)
    data: str = "plain"
    apart: float = ROUNDING
    options: dict[str, Any] = field(default_factory=dict)


def _exactly(parameters: dict[str, Any], data: str = "plain", **options: Any) -> Case:
    return Case(parameters, data, options={"precision": "float64", **options})


def _binned(parameters: dict[str, Any], **options: Any) -> Case:
    return Case(parameters, apart=2e-4, options={"ranking": "binned", "tolerance": 1e-4, **options})


JIA, WANG = {"k": 5, "utility": "jia2019"}, {"k": 5, "utility": "wang2023"}
BUDGET = {"epsilon": 1.0, "delta": 1e-6}
NEAR, AROUND = {"radius": 0.6}, {"radius": "auto"}

CASES: dict[str, dict[str, Case]] = {
    "knn_shapley": {
        "exactly": _exactly({"k": 5}),
        "inner product": _exactly({"k": 5}, metric="inner_product"),
    },
    "soft_knn_shapley": {"multi-label, cosine, ties": _exactly({"k": 5}, "multi", metric="cosine", ties="average")},
    "knn_banzhaf": {"2019": _exactly(JIA), "2023, bins": _binned(WANG)},
    "knn_beta": {
        "2023, ties": _exactly(WANG, ties="average"),
        "2019, bins": _binned({**JIA, "alpha": 4.0, "beta": 2.0}),
    },
    "knn_regression_shapley": {
        "exactly": _exactly({"k": 5}, "numbers"),
        "float32": Case({"k": 5, "empty_utility": 0.5}, "numbers", SWAPS),
        "its own points": _exactly({"k": 5}, "numbers", self_validation=True),
    },
    "weighted_knn_shapley": {
        "raw, inner product": _exactly({"k": 5}, metric="inner_product"),
        "raw, by distance, multi-label": Case({"k": 5, "weight": "inverse_distance"}, "multi"),
        "raw, rbf": Case({"k": 5, "weight": "rbf", "gamma": 0.5}),
        "normalized": _exactly({"k": 2, "kind": "normalized"}, "small"),
        "hard": _exactly({"k": 3, "kind": "hard", "bits": 2}, "small"),
        "hard, near rows": Case({"k": 3, "kind": "hard", "bits": 2, "n_nearest": 60, "weight": "rbf"}),
    },
    "threshold_knn_shapley": {
        "a number": Case(NEAR),
        "automatic": Case(AROUND),
        "cosine, multi-label": Case({"radius": 0.1}, "multi", options={"metric": "cosine"}),
        "inner product": Case({"radius": -3.0}, options={"metric": "inner_product", "precision": "float64"}),
        "its own points": Case(NEAR, options={"self_validation": True}),
    },
    "threshold_knn_banzhaf": {"a number": Case(NEAR)},
    "threshold_knn_beta": {"automatic": Case({**AROUND, "alpha": 4.0})},
    "threshold_knn_loo": {"a number": Case(NEAR, "multi")},
    "knn_loo": {
        "2019": Case(JIA),
        "2023, cosine, multi-label": Case(WANG, "multi", options={"metric": "cosine"}),
        "inner product": Case(JIA, options={"metric": "inner_product"}),
        "its own points": Case(JIA, options={"self_validation": True}),
    },
    "truncated_knn_shapley": {
        "so many rows": Case({"k": 5, "k_star": 100}),
        "an error, the rest in one bin": Case({"k": 5, "epsilon": 0.02, "tail": "bound"}, "multi"),
    },
    "cleanlab_knn_shapley": {"its own points": Case({"k": 5}, options={"self_validation": True})},
    "dp_threshold_knn_shapley": {
        "inner product": Case({"radius": -3.0, **BUDGET}, options={"metric": "inner_product"}),
        "a sample, multi-label": Case({**NEAR, **BUDGET, "sampling_rate": 0.5}, "multi"),
        "cosine, automatic": Case({**AROUND, **BUDGET}, options={"metric": "cosine"}),
    },
    "chg_shapley": {
        "the validation rows' mean": Case(),
        "epochs, the validation rows' mean": _exactly({"epochs": 2, "by": "label"}),
        "epochs": _exactly({"epochs": 3}, self_validation=True),
        "batches": _exactly({"epochs": 2, "batch_rows": 4_000, "variant": "gradient"}, self_validation=True),
        "hardness": _exactly({"epochs": 2, "variant": "hardness"}, self_validation=True),
        "given": _exactly({"source": "gradients", "variant": "gradient", "by": "label"}, self_validation=True),
    },
    "influence": {"by a head": Case()},
    "lava": {"by transport": Case()},
    "dvrl": {"by rewards": Case({"steps": 20, "batch_rows": 40})},
    "owner_knn_shapley": {"owners": _exactly({"k": 3})},
    "owner_sum_of_points": {"owners": _exactly({"k": 5}), "cosine": _exactly({"k": 5}, metric="cosine")},
}
EACH = [(name, case) for name, cases in CASES.items() for case in cases]


def test_cases__name_every_method() -> None:
    # Owned rows are a table of their own, see tests/spark/test_acquisition_jobs.py; for games test_game_jobs.py.
    of_jobs = {name for name, method in METHODS.items() if method.in_jobs}
    assert {*CASES, "knn_acquisition_shapley", *GAMES} == of_jobs


@pytest.mark.parametrize(("name", "case"), EACH)
def test_family__replicated_is_the_local_engine_and_sharded_has_its_bits(
    name: str, case: str, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("dvspark.arrays.array_values", "dvspark.run.kinds.neighbors"):
        monkeypatch.setattr(f"{module}.private_release", lambda counts, _release: counts + OFFSET)
    monkeypatch.setattr("dvspark.run.kinds.neighbors.secrets.token_bytes", lambda _n: KEY)
    monkeypatch.setattr("dvspark.kernels.gradients.row_pass.STRETCH_ROWS", TILE_ROWS)  # so that tasks share the rows
    asked = CASES[name][case]
    data, options = DATA[asked.data], ValueOptions(name, asked.parameters, **asked.options)
    assert options.problems() == []
    on_spark = tables.totals(asked.data, options, None)
    with monkeypatch.context() as patch:
        # Row by row, where `value_arrays` draws by place and Spark by id.
        drawn = "dvspark.methods.kinds.private.sampled_rows"
        patch.setattr(drawn, lambda _, __, rate: sampled_rows(_ids(data), KEY, rate))
        local = _local(data, options)
    assert np.any(local.value)
    np.testing.assert_allclose(on_spark.value, local.value, rtol=0, atol=asked.apart * N_VALIDATION)
    np.testing.assert_allclose(on_spark.value_squared, local.value_squared, rtol=0, atol=asked.apart * N_VALIDATION)
    np.testing.assert_allclose(_sums(on_spark), _sums(local), rtol=0, atol=asked.apart * N_VALIDATION)
    assert (on_spark.n_validation, on_spark.n_alone) == (local.n_validation, local.n_alone)
    if name == "chg_shapley" and options.self_validation:  # arrays have validation rows in another order
        np.testing.assert_array_equal(on_spark.value, local.value)

    sharded = tables.totals(asked.data, options, N_BLOCKS[asked.data])
    np.testing.assert_array_equal(sharded.value, on_spark.value)
    np.testing.assert_array_equal(sharded.value_squared, on_spark.value_squared)
    assert (*_sums(sharded), sharded.error_bound) == (*_sums(on_spark), on_spark.error_bound)
    assert (sharded.n_validation, sharded.n_alone) == (on_spark.n_validation, on_spark.n_alone)


def _sums(partial: Partial) -> tuple[float, float]:
    return partial.utility, partial.empty_utility


def _ids(data: Data) -> list[str]:
    return sorted(data.train.ids)


def _local(data: Data, options: ValueOptions) -> Partial:
    """Return the totals of `value_arrays`; of its own points, of the first ones by id."""
    arrays, given = data.arrays(self_validation=options.self_validation)
    columns = {name: data.train.columns[name.removesuffix("s")] for name in options.asks}
    inputs = read_array_inputs(Given(*arrays, train_ids=given["train_ids"], **columns), options)
    if options.self_validation:
        few = inputs.x_validation[:N_VALIDATION], inputs.validation_labels.slice(0, N_VALIDATION)
        inputs = replace(inputs, x_validation=few[0], validation_labels=few[1])
    return array_totals(inputs, options)


class Tables:
    """The tables on Spark, each index and each set of blocks built once."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark, self.folder = spark, folder
        self.indexes: dict[tuple[Any, ...], Any] = {}

    def totals(self, name: str, options: ValueOptions, n_blocks: int | None) -> Partial:
        """Return the totals under the sharded plan, or (None) the replicated one."""
        from dvspark.engine.replicated import points as on_spark
        from dvspark.engine.replicated import replicated
        from dvspark.engine.sharded import sharded
        from dvspark.logs import Stage
        from dvspark.run.kinds import neighbors, sums, whole

        data, engine = DATA[name], replicated if n_blocks is None else sharded
        index = self._index(name, options.metric, n_blocks)
        points = frames_of(self.spark, data)[1]
        if options.self_validation:
            few = data.train.take(np.isin(data.train.ids, _ids(data)[:N_VALIDATION]))
            points = frame_of(self.spark, few, data.types).select("id", "embedding", "label")
        work = ChunkWork(options, options.resolved(6 if options.self_validation else 7))
        if options.declaration.kind == "radius" and work.parameters.plain()["radius"] == "auto":
            ranking = options.ranking_options(work.parameters, len(data.train))

            def tenth_of(sample: Any) -> Float64s:
                alone = options.self_validation
                return engine.tenth_distances(points, sample, index, ranking, self_validation=alone)

            sample = on_spark.sample_rows(points, 256)
            method = RadiusMethod.of(options.declaration)
            radius = neighbors.automatic_radius(method, sample, tenth_of, options.metric, len(data.train))
            work = replace(work, parameters=replace(method.own(work.parameters), radius=radius))
        if options.declaration.is_private:
            points, work = self._released(engine, points, index, work)
        if options.declaration.kind == "whole":
            return whole.settled(points, N_CHUNKS, index, work).value(None, Stage("whole")).totals
        if options.declaration.kind == "sums":
            return sums.values(work, sums.settled(points, N_CHUNKS, sums.TrainRows(engine, index, points, work)))
        chunks = on_spark.chunked(points, N_CHUNKS)
        totals = Partial.zeros(work.n_values(index), row_bounds=options.error_bound)
        for wave in engine.value_waves(chunks, on_spark.chunk_sizes(chunks), index, work):
            totals.add(wave.totals)
        return totals

    def _released(self, engine: Any, points: DataFrame, index: Any, work: ChunkWork) -> tuple[DataFrame, ChunkWork]:
        from dvspark.engine.replicated import points as on_spark
        from dvspark.run.kinds import neighbors

        chunks = on_spark.chunked(points, N_CHUNKS)
        sizes = on_spark.chunk_sizes(chunks)

        def counts_of(asked: ChunkWork) -> Any:
            return engine.neighbor_counts(chunks, sizes, index, asked)

        _, key, noisy = neighbors.released(work, N_VALIDATION, counts_of, None)
        return on_spark.with_counts(points, noisy), replace(work, sample_key=key)

    def _index(self, name: str, metric: str, n_blocks: int | None) -> Index:
        asked = (name, metric, n_blocks)
        if asked not in self.indexes:
            self.indexes[asked] = self._build(DATA[name], metric, n_blocks, self.folder / f"{len(self.indexes)}")
        return self.indexes[asked]

    def _build(self, data: Data, metric: str, n_blocks: int | None, folder: Path) -> Index:
        from dvspark.engine.replicated import packing
        from dvspark.engine.sharded import sharded

        train = frames_of(self.spark, data)[0]
        same: dict[str, Any] = {"n_train": len(data.train), "n_features": 4, "dtype": "float32", "metric": metric}
        if n_blocks is None:
            return packing.build_index(train, **same, directory=folder)
        n_tiles = -(-len(data.train) // TILE_ROWS)
        block_rows = -(-n_tiles // n_blocks) * TILE_ROWS
        blocks = sharded.build_blocks(train, **same, directory=folder, block_rows=block_rows, shared=False)
        assert blocks.n_blocks == n_blocks
        return blocks


@pytest.fixture(scope="module")
def tables(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The tables of all cases, packed once."""
    return Tables(spark_session, tmp_path_factory.mktemp("tables"))
