"""A game that was stopped goes on from its ledger to the bits of one that was not; other games do not touch it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from worked_games import random_game

from dvspark import ComputeError, OutputConflictError, value_game
from dvspark.engine.games import game_ledger
from dvspark.engine.games.range_notes import MOST_PROBES
from dvspark.schemas import columns

GAME = random_game(5, 3)


@pytest.fixture(autouse=True)
def _keep_every_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(game_ledger, "KEEP_SECONDS", 0.0)


class Breaking:
    """A utility whose machine goes down at one of its calls."""

    def __init__(self, at: int) -> None:
        self.at, self.n_calls = at, 0

    def __call__(self, players: np.ndarray) -> float:
        self.n_calls += 1
        if self.n_calls == self.at:
            raise KeyboardInterrupt
        return GAME(players)


OF_METHODS: list[tuple[str, dict[str, Any]]] = [
    ("monte_carlo_shapley", {}),
    ("group_testing_shapley", {}),
    ("monte_carlo_banzhaf", {}),
    ("ame", {"fit": "lasso"}),
]


@pytest.mark.parametrize(("method", "parameters"), OF_METHODS)
def test_game_that_was_stopped__goes_on(method: str, parameters: dict[str, Any], tmp_path: Path) -> None:
    whole = value_game(GAME, 5, method, 3_000, **parameters)
    with pytest.raises(KeyboardInterrupt):
        value_game(Breaking(1_700), 5, method, 3_000, ledger=str(tmp_path), **parameters)
    again = Breaking(-1)
    resumed = value_game(again, 5, method, 3_000, ledger=str(tmp_path), **parameters)
    assert resumed.values.tobytes() == whole.values.tobytes()
    assert resumed.standard_errors.tobytes() == whole.standard_errors.tobytes()
    assert resumed.n_evaluations == whole.n_evaluations
    assert again.n_calls < 1_700  # what was done is not done again


def test_game_that_has_ended__is_not_played_again(tmp_path: Path) -> None:
    first = value_game(GAME, 5, evaluations=10**6, standard_error=0.02, ledger=str(tmp_path))
    again = Breaking(-1)
    second = value_game(again, 5, evaluations=10**6, standard_error=0.02, ledger=str(tmp_path))
    assert again.n_calls <= 2 + MOST_PROBES  # both ends, and coalitions by which the utility is known again
    assert second.values.tobytes() == first.values.tobytes()
    assert second.stopped_by == "standard_error"


def test_larger_budget__goes_on_from_a_smaller_one(tmp_path: Path) -> None:
    value_game(GAME, 5, evaluations=1_000, ledger=str(tmp_path))
    more = value_game(GAME, 5, evaluations=2_000, ledger=str(tmp_path))
    assert more.values.tobytes() == value_game(GAME, 5, evaluations=2_000).values.tobytes()
    with pytest.raises(OutputConflictError, match="at most 500 evaluations"):
        value_game(GAME, 5, evaluations=500, ledger=str(tmp_path))


def test_ledger_of_another_game__is_refused(tmp_path: Path) -> None:
    value_game(GAME, 5, evaluations=1_000, ledger=str(tmp_path))
    for game, n, options in (
        (random_game(5, 4), 5, {}),
        (GAME, 4, {}),
        (GAME, 5, {"seed": 1}),
        (GAME, 5, {"sampling": "permutations"}),
        (GAME, 5, {"method": "monte_carlo_banzhaf"}),
        (GAME, 5, {"standard_error": 0.1}),
    ):
        with pytest.raises(OutputConflictError, match="another game"):
            value_game(game, n, **{"evaluations": 1_000, "ledger": str(tmp_path), **options})


@pytest.mark.parametrize("unit", [1.0, 2.0**-40])
@pytest.mark.parametrize(("method", "parameters"), OF_METHODS)
def test_ledger_of_another_utility_with_the_same_ends__is_refused(
    method: str, parameters: dict[str, Any], unit: float, tmp_path: Path
) -> None:
    worth = unit * np.array([1.0, 2.0, 3.0, 4.0, 0.0])
    value_game(lambda players: float(worth[players].sum()), 5, method, 1_000, ledger=str(tmp_path), **parameters)
    for evaluations in (1_000, 2_000):
        with pytest.raises(OutputConflictError, match="worth what they were"):
            value_game(
                lambda players: float(worth[::-1][players].sum()),
                5,
                method,
                evaluations,
                ledger=str(tmp_path),
                **parameters,
            )


class Scored:
    """A utility of bags, for each player so much."""

    def __init__(self, scores: list[float]) -> None:
        self.of = np.array(scores)

    def __call__(self, players: np.ndarray) -> float:
        return float(len(players))

    def scores(self, bag: np.ndarray) -> np.ndarray:
        return self.of * len(np.unique(bag))


@pytest.mark.parametrize("unit", [1.0, 2.0**-40])
def test_ledger_of_other_scores__is_refused(unit: float, tmp_path: Path) -> None:
    game = {"n_players": 3, "method": "data_oob", "ledger": str(tmp_path)}
    scores = [unit * one for one in (1.0, 2.0, 3.0)]
    first = value_game(Scored(scores), evaluations=200, **game)
    assert value_game(Scored(scores), evaluations=200, **game).values.tobytes() == first.values.tobytes()
    with pytest.raises(OutputConflictError, match="worth what they were"):
        value_game(Scored(scores[::-1]), evaluations=300, **game)


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b.replace(b[-300:-292], b"damaged!"), lambda b: b""])
def test_damaged_ledger__is_refused(damage, tmp_path: Path) -> None:
    value_game(GAME, 5, evaluations=1_000, ledger=str(tmp_path))
    path = tmp_path / game_ledger.NAME
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(OutputConflictError):
        value_game(GAME, 5, evaluations=1_000, ledger=str(tmp_path))


def test_ledger_whose_numbers_were_changed__is_refused(tmp_path: Path) -> None:
    value_game(GAME, 5, evaluations=1_000, ledger=str(tmp_path))
    path = tmp_path / game_ledger.NAME
    table = columns.from_ipc(path.read_bytes())
    content = bytearray(table["moments"][0].as_py())
    content[-1] ^= 1
    changed = table.set_column(table.schema.get_field_index("moments"), "moments", pa.array([bytes(content)]))
    told = changed.replace_schema_metadata(table.schema.metadata)
    path.write_bytes(columns.to_ipc(told.to_batches()[0]))
    with pytest.raises(OutputConflictError, match="other bytes"):
        value_game(GAME, 5, evaluations=1_000, ledger=str(tmp_path))


def test_failures__leave_no_ledger_behind_that_holds_them(tmp_path: Path) -> None:
    n_calls = 0

    def failing(players: np.ndarray) -> float:
        nonlocal n_calls
        n_calls += 1
        return GAME(players) if n_calls < 500 else float("nan")

    with pytest.raises(ComputeError):
        value_game(failing, 5, evaluations=2_000, ledger=str(tmp_path))
    resumed = value_game(GAME, 5, evaluations=2_000, ledger=str(tmp_path))
    assert resumed.values.tobytes() == value_game(GAME, 5, evaluations=2_000).values.tobytes()
