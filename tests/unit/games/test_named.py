"""Utilities by name: what settings write is read as it is meant, or refused with what to do."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dvspark import ConfigError, value_game
from dvspark.games.utilities import GameTables, knn, threshold_knn
from dvspark.games.utilities.named import compares_rows, name_of, named_utility, read_spec

RNG = np.random.default_rng(0)
X, Z = RNG.normal(size=(12, 2)), RNG.normal(size=(9, 2))
TABLES = GameTables.of(X, X[:, 0] > 0, Z, Z[:, 0] > 0)
SETTINGS = {"k": 3, "radius": 1.5, "n_classes": 2, "metric": "euclidean"}
SOME = np.array([0, 3, 4, 7, 11])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("knn", ("knn", {})),
        (" threshold_knn ( radius = 2.5 ) ", ("threshold_knn", {"radius": 2.5})),
        (
            "my_games.shop:worth(rounds=3, names=['a', 'b'])",
            ("my_games.shop:worth", {"rounds": 3, "names": ["a", "b"]}),
        ),
        ("sklearn.svm.SVC(C=1e-3, kernel='rbf')", ("sklearn.svm.SVC", {"C": 1e-3, "kernel": "rbf"})),
        ("knn()", ("knn", {})),
    ],
)
def test_read_spec__reads_a_name_and_its_arguments(text: str, expected: tuple[str, dict[str, Any]]) -> None:
    assert read_spec(text) == expected


@pytest.mark.parametrize(
    "text", ["", "knnn", "knn(", "knn(3)", "knn(k=3", "knn(k=open('x'))", "knn(**{'k': 3})", "a.b(c=d)", "knn) + f("]
)
def test_read_spec__refuses_anything_else(text: str) -> None:
    with pytest.raises(ConfigError, match="utility"):
        read_spec(text)


def test_settings__reach_utilities_of_neighbors_and_brackets_go_before_them() -> None:
    asked = [named_utility(text, TABLES, SETTINGS)(SOME) for text in ("knn", "knn(k=1)", "threshold_knn")]
    assert asked == [knn(TABLES, k=3)(SOME), knn(TABLES, k=1)(SOME), threshold_knn(TABLES, radius=1.5)(SOME)]
    assert asked[0] != asked[1]


def test_class_of_scikit_learn__is_a_model_with_its_parameters_and_those_of_the_factory() -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    rows = slice(None, None, 2)
    utility = named_utility(
        "sklearn.neighbors.KNeighborsClassifier(n_neighbors=2, empty_utility=0.25)", TABLES, SETTINGS
    )
    trained = neighbors.KNeighborsClassifier(n_neighbors=2).fit(X[rows], X[rows, 0] > 0)
    assert utility(np.arange(12)[rows]) == trained.score(Z, Z[:, 0] > 0)
    assert utility(np.arange(0)) == 0.25


def test_function_of_a_module__gets_the_tables_and_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("shop")
    module.worth = lambda tables, times: lambda players: times * len(players) / tables.n_players  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "shop", module)
    assert named_utility("shop:worth(times=6)", TABLES, SETTINGS)(SOME) == 6 * 5 / 12
    assert name_of("shop:worth(times=6)") == "shop:worth(times=6)"
    assert name_of(knn) == "dvspark.games.utilities.knn:knn"


@pytest.mark.parametrize(
    "text",
    [
        "no_such_module_at_all:f",
        "math:no_such",
        "math:pi",
        "knn(colour='red')",
        "math:sqrt(x=1)",
        "model(empty_utility='half')",
    ],
)
def test_what_makes_no_utility__is_a_problem_of_the_setting(text: str) -> None:
    with pytest.raises(ConfigError, match="utility"):
        named_utility(text, TABLES, SETTINGS)


def test_function_that_fails__is_told_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("shop")
    module.broken = lambda *_tables: {}["prices"]  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "shop", module)
    with pytest.raises(ConfigError, match="KeyError: 'prices'"):
        named_utility("shop:broken", TABLES, SETTINGS)
    with pytest.raises(ConfigError, match="KeyError: 'prices'"):
        value_game("shop:broken", 4)


def test_compares_rows__tells_utilities_of_neighbors_from_models() -> None:
    texts = ["knn", "knn(k=2)", "threshold_knn(radius=1)", "model", "a:knn", "sklearn.svm.SVC"]
    assert [compares_rows(text) for text in texts] == [True, True, True, False, False, False]
