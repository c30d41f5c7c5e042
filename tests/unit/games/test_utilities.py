"""Utilities that are ready: against definitions that share no code with them, and against the exact methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracle_games import nearest_game, points_of, radius_key, threshold_game

from dvspark import ConfigError, InputError, value_arrays, value_game
from dvspark.games.utilities import GameTables, knn, model, threshold_knn


def drawn_tables(n: int, m: int, seed: int = 0, owners: Any = None) -> GameTables:
    """Return tables of whole numbers, with ties and duplicates."""
    rng = np.random.default_rng(seed)
    x, z = (rng.integers(0, 4, (rows, 2)).astype(float) for rows in (n, m))
    return GameTables.of(x, rng.integers(0, 3, n), z, rng.integers(0, 3, m), owners)


def definition(tables: GameTables, rows: list[int], which: str) -> float:
    """Return what rows are worth by the oracle, in rational numbers until the last step."""
    points = points_of(
        tables.x_train.tolist(), tables.y_train.tolist(), tables.x_validation.tolist(), tables.y_validation.tolist()
    )
    if which == "threshold":
        games = [threshold_game(point, key=radius_key(1, "euclidean"), n_classes=3) for point in points]
    else:
        games = [nearest_game(point, k=3, utility=which, n_classes=3) for point in points]
    return float(sum(game(rows) for game in games) / len(games))


def ready(tables: GameTables, which: str) -> Any:
    if which == "threshold":
        return threshold_knn(tables, radius=1.0, n_classes=3)
    return knn(tables, k=3, utility=which, n_classes=3)


@pytest.mark.parametrize("which", ["jia2019", "wang2023", "threshold"])
@pytest.mark.parametrize("owners", [None, "abcabcabcaab"])
def test_votes__are_those_of_the_definition_by_call_and_by_walk(which: str, owners: str | None) -> None:
    tables = drawn_tables(12, 7, owners=None if owners is None else list(owners))
    utility = ready(tables, which)
    n_players = 12 if owners is None else 3
    assert utility.n_players == n_players
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(n_players)
        walked = utility.walk(order)
        for size in range(n_players + 1):
            players = np.sort(order[:size])
            names = [ord(owner) - ord("a") for owner in owners] if owners else range(12)
            rows = [row for row, player in enumerate(names) if player in players]
            assert utility(players) == pytest.approx(definition(tables, rows, which), abs=1e-12)
            if size:
                assert utility(players) == walked[size - 1]  # the same bits


@pytest.mark.parametrize(("which", "method", "options"), [
    ("jia2019", "knn_shapley", {"k": 3}),
    ("wang2023", "soft_knn_shapley", {"k": 3, "n_classes": 3}),
    ("threshold", "threshold_knn_shapley", {"radius": 1.0, "n_classes": 3}),
])  # fmt: skip
@pytest.mark.long
def test_estimates__are_the_exact_methods_values(which: str, method: str, options: dict) -> None:
    """False alarm: 30 values beyond 5 standard errors of 200 draws and more: 1e-4."""
    tables = drawn_tables(30, 5, seed=3)
    exact = value_arrays(
        tables.x_train, tables.y_train, tables.x_validation, tables.y_validation, method=method, **options
    )
    for estimate in ("monte_carlo_shapley", "group_testing_shapley"):
        result = value_game(ready(tables, which), 30, estimate, 20_000)
        assert np.abs(result.values - exact).max() <= 5 * result.standard_errors.max()


@pytest.mark.long
@pytest.mark.parametrize(("evaluations", "least", "most"), [(400_000, 0.86, 0.93), (1_600_000, 0.93, 0.97)])
def test_intervals__hold_the_exact_values_of_a_thousand_rows(evaluations: int, least: float, most: float) -> None:
    """Intervals of 95 % as docs/games.md tells of them: rows matter in few coalitions, so it takes many draws."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(1_000, 4)), rng.normal(size=(50, 4))
    tables = GameTables.of(x, (x[:, 0] > 0).astype(int), z, (z[:, 0] > 0).astype(int))
    result = value_game(knn(tables, k=5), 1_000, evaluations=evaluations, seed=2)
    exact = value_arrays(x, tables.y_train, z, tables.y_validation, k=5)
    low, high = result.intervals(0.95).T
    assert least <= np.mean((low <= exact) & (exact <= high)) <= most
    assert 0.9 < np.sum((result.values - exact) ** 2) / np.sum(result.standard_errors**2) < 1.2
    assert np.corrcoef(result.values, exact)[0, 1] > 0.9  # so this is no noise around zero


def test_owners__are_players_of_the_exact_owner_method() -> None:
    tables = drawn_tables(24, 6, seed=5, owners=[row % 5 for row in range(24)])
    exact = value_arrays(
        tables.x_train, tables.y_train, tables.x_validation, tables.y_validation,
        method="owner_knn_shapley", k=3, owners=tables.owners,
    )  # fmt: skip
    result = value_game(knn(tables, k=3), tables.n_players, evaluations=30_000)
    assert np.abs(result.values - exact).max() <= 5 * result.standard_errors.max()


def test_model__is_trained_by_scikit_learn_on_the_rows_of_a_coalition() -> None:
    from sklearn.metrics import f1_score
    from sklearn.svm import SVC

    tables = drawn_tables(30, 20, seed=1)
    utility = model(tables, estimator="sklearn.svm.SVC", score="f1_macro", C=2.0, empty_utility=0.1)
    rows = np.arange(3, 21)
    fitted = SVC(C=2.0, random_state=0).fit(tables.x_train[rows], tables.y_train[rows])
    expected = f1_score(tables.y_validation, fitted.predict(tables.x_validation), average="macro")
    assert utility(rows) == pytest.approx(expected)
    assert utility(rows[:0]) == 0.1
    of_one = np.flatnonzero(tables.y_train == 2)
    only = np.full(20, 2)
    assert utility(of_one) == pytest.approx(f1_score(tables.y_validation, only, average="macro"))


def test_model__takes_a_regressor_and_a_score_of_ones_own() -> None:
    from sklearn.linear_model import Ridge

    tables = drawn_tables(30, 20, seed=1)
    utility = model(tables, estimator=Ridge(), score=lambda fitted, x, y: -float(np.abs(fitted.predict(x) - y).max()))
    rows = np.arange(10)
    fitted = Ridge().fit(tables.x_train[rows], tables.y_train[rows])
    expected = -np.abs(fitted.predict(tables.x_validation) - tables.y_validation).max()
    assert utility(rows) == pytest.approx(expected)
    assert utility(np.array([4])) < 0  # one row is no class of its own


def test_model_by_chance__is_worth_the_same_each_time() -> None:
    tables = drawn_tables(30, 20, seed=1)
    utility = model(tables, estimator="sklearn.ensemble.RandomForestClassifier", n_estimators=5)
    rows = np.arange(25)
    assert len({utility(rows) for _ in range(5)}) == 1


def test_models__value_wrong_labels_lowest() -> None:
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=(24, 3)), rng.normal(size=(100, 3))
    y = (x[:, 0] > 0).astype(int)
    y[:4] = 1 - y[:4]
    tables = GameTables.of(x, y, z, (z[:, 0] > 0).astype(int))
    utility = model(tables, estimator="sklearn.naive_bayes.GaussianNB", empty_utility=0.5)
    result = value_game(utility, 24, evaluations=400, seed=0)
    assert result.values[:4].mean() < 0 < result.values[4:].mean()


def test_unusable_tables_and_parameters__are_told_of() -> None:
    tables = drawn_tables(6, 2)
    with pytest.raises(InputError) as caught:
        GameTables.of([[np.nan]], [1], [["a"]], [1])
    assert [problem.where for problem in caught.value.problems] == ["x_train", "x_validation"]
    for bad in ([[1.0]], [1, 2], [[1.0]], [1]), ([[1.0]], [1], [[1.0, 2.0]], [1]), ([], [], [[1.0]], [1]):
        with pytest.raises(InputError):
            GameTables.of(*bad)
    with pytest.raises(InputError, match="owners"):
        GameTables.of([[1.0]], [1], [[1.0]], [1], owners=["a", "b"])
    for missing in ([None, "a"], [np.nan, 1.0], np.ma.array([1, 2], mask=[True, False])):
        with pytest.raises(InputError) as caught:  # None would match None
            GameTables.of([[1.0], [2.0]], missing, [[1.0], [2.0]], missing, owners=missing)
        assert [problem.where for problem in caught.value.problems] == ["y_train", "y_validation", "owners"]
    for make in (
        lambda: knn(tables, k=0),
        lambda: knn(tables, utility="jia2020"),
        lambda: knn(tables, utility="wang2023", n_classes=-1),
        lambda: knn(tables, utility="wang2023", n_classes=1.5),  # type: ignore[arg-type]
        lambda: threshold_knn(tables, radius=1.0, n_classes=-2),
        lambda: threshold_knn(tables, radius=float("nan")),
        lambda: threshold_knn(tables, radius=1.0, metric="manhattan"),
        lambda: model(tables, estimator="sklearn.svm.SVM"),
        lambda: model(tables, estimator="SVC"),
        lambda: model(tables, score="acuracy"),
        lambda: model(tables, gamma_ray=1.0),
    ):
        with pytest.raises(ConfigError):
            make()


def test_missing_scikit_learn__is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(ConfigError, match=r"dvspark\[models\]"):
        model(drawn_tables(6, 2))
