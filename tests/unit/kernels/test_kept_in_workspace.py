"""What a workspace keeps besides arrays: tables that chunk after chunk asks for."""

from __future__ import annotations

import numpy as np

from dvspark.kernels.distances.distances import prepare
from dvspark.kernels.formulas.knn_shapley import KnnShapley
from dvspark.kernels.ranking.partials import ranking_partial
from dvspark.kernels.ranking.ranking import RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import ChunkArrays, Partial, TrainLabels


def test_made__is_made_again_for_another_key_or_after_clearing() -> None:
    workspace, made = Workspace(), list[int]()

    def table(key: int) -> int:
        return workspace.made("table", key, lambda: made.append(key) or key)

    assert [table(key) for key in (1, 1, 2, 2, 1)] == [1, 1, 2, 2, 1]
    assert made == [1, 2, 1]
    workspace.clear(but="block")
    assert table(1) == 1
    assert made == [1, 2, 1, 1]


def test_ranking_partial__of_a_kept_workspace_is_that_of_a_fresh_one() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60_000, 4), np.float32), rng.integers(0, 3, 60_000).astype(np.int32)
    train, kept = prepare(x, TrainLabels(y), "euclidean"), Workspace()
    options = RankingOptions("euclidean", "default", "id", 3, "binned", 1e-6)

    def partial(k: int, sits_out: bool, workspace: Workspace) -> Partial:
        chunk = ChunkArrays(x[:2], [y[point : point + 1] for point in range(2)], np.arange(2) if sits_out else None)
        formulas = KnnShapley(k)  # another object each time, as a task gets it
        return ranking_partial(train, chunk, options, formulas.rank_weights, formulas.utilities, workspace)

    for k, sits_out in ((3, False), (3, False), (5, False), (5, True)):
        found, expected = partial(k, sits_out, kept), partial(k, sits_out, Workspace())
        np.testing.assert_array_equal(found.value, expected.value)
        assert found.error_bound == expected.error_bound > 0
