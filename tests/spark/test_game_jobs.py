"""Games of tables on Spark: the bits of `value_game`, by tasks that map the rows; a stopped job goes on anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from frames import Data, Side, draw_data, write_parquet

import dvspark
from dvspark.config.sources import load_config
from dvspark.engine.games import game_ledger
from dvspark.engine.games.game_ledger import GameLedger
from dvspark.games.utilities import GameTables, knn
from dvspark.local.session import open_local_session
from dvspark.run import pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dvspark.local.session import Session

pytestmark = pytest.mark.spark

DATA = draw_data(30, 20, seed=4, id_type="string", label_type="string")


class StoppedError(Exception):
    """What stops a job in the middle of its game."""


def in_order(side: Side) -> tuple[Any, Any]:
    """Return embeddings and labels in id order."""
    order = np.argsort(np.array(side.ids))
    return np.asarray(side.x)[order], np.array(side.labels)[order]


def tables(data: Data = DATA) -> GameTables:
    """Return the game's tables in id order."""
    (x, y), (z, w) = map(in_order, (data.train, data.validation))
    return GameTables.of(x, y, z, w)


def written(folder: Path) -> dict[str, str]:
    """Write both tables, and return where they are."""
    sides = {"train": DATA.train, "validation": DATA.validation}
    return {name: write_parquet(folder / f"{name}.parquet", side) for name, side in sides.items()}


def factory_made_here(fails: bool) -> Callable[[GameTables], Any]:
    """Return a factory that travels by value: tasks cannot import this file."""

    def factory(given: GameTables) -> Any:
        def utility(players: np.ndarray) -> float:
            if fails and len(players) == 3:
                raise ValueError("three are too many")
            matches = np.isin(given.y_train[players], given.y_validation[:3])
            return float(np.sqrt(matches.sum()) + given.x_train[players].sum() / 100)

        return utility

    return factory


@pytest.mark.long
def test_value_table__plays_a_function_with_the_bits_of_value_game(spark: SparkSession, tmp_path: Path) -> None:
    places = written(tmp_path)
    frames = [spark.read.parquet(places[name]) for name in ("train", "validation")]
    utility = factory_made_here(fails=False)
    options: dict[str, Any] = {"method": "monte_carlo_banzhaf", "evaluations": 700, "seed": 9}
    result = dvspark.value_table(*frames, utility=utility, **options)
    played = dvspark.value_game(utility(tables()), 30, **options)
    found = result.values.toArrow().sort_by("id")
    assert found["value"].to_numpy().tobytes() == played.values.tobytes()
    assert found["standard_error"].to_numpy().tobytes() == played.standard_errors.tobytes()
    assert result.run["game"]["utility"].endswith("factory")
    assert result.run["method"]["parameters"]["utility"] == result.run["game"]["utility"]
    assert {finding.name: finding.verdict for finding in result.findings} == {"finite": "pass", "worths": "pass"}


def test_failure_in_a_task__names_the_coalition(spark: SparkSession, tmp_path: Path) -> None:
    places = written(tmp_path)
    frames = [spark.read.parquet(places[name]) for name in ("train", "validation")]
    with pytest.raises(dvspark.ComputeError, match="three are too many") as caught:
        dvspark.value_table(*frames, method="monte_carlo_shapley", utility=factory_made_here(fails=True))
    assert "coalition {" in str(caught.value)


@pytest.mark.long
@pytest.mark.parametrize("first", ["spark", "local"])
def test_job_that_is_stopped__goes_on_by_the_other_engine_with_the_same_bits(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    settings = {**written(tmp_path), "output": {"path": str(tmp_path / "out")}, "method": "monte_carlo_shapley"}
    config = load_config(None, {**settings, "k": 3, "evaluations": 30_000, "seed": 2, "run_id": "run"})
    monkeypatch.setattr(game_ledger, "KEEP_SECONDS", 0.0)
    kept, begun, keep, read = list[int](), list[int](), GameLedger.keep, GameLedger.read

    def keep_some(self: GameLedger, totals: Any, range_draws: int) -> None:
        if len(kept) == 5:
            raise StoppedError
        kept.append(totals.n_asked)
        keep(self, totals, range_draws)

    def told(self: GameLedger, n_players: int, evaluations: int) -> Any:
        found = read(self, n_players, evaluations)
        begun.append(0 if found is None else found.n_asked)
        return found

    played = dvspark.value_game(knn(tables(), k=3), 30, evaluations=30_000, seed=2)
    with open_local_session() as local:
        sessions: dict[str, Session] = {"spark": spark, "local": local}
        with monkeypatch.context() as patch:
            patch.setattr(GameLedger, "keep", keep_some)
            with pytest.raises(StoppedError):
                pipeline.run(config, sessions[first])
        assert not (tmp_path / "out" / "values").exists()
        monkeypatch.setattr(GameLedger, "read", told)
        pipeline.run(config, sessions["local" if first == "spark" else "spark"])
    assert begun == [kept[-1]]
    values = pq.read_table(tmp_path / "out" / "values" / "run_id=run").sort_by("id")
    assert values["value"].to_numpy().tobytes() == played.values.tobytes()
    assert values["standard_error"].to_numpy().tobytes() == played.standard_errors.tobytes()
    record = json.loads((tmp_path / "out" / "runs" / "run" / "run.json").read_text())
    assert record["game"]["n_evaluations"] == played.n_evaluations
    assert {one["name"]: one["verdict"] for one in record["findings"]} == dict.fromkeys(
        ("finite", "worths", "ranges", "efficiency"), "pass"
    )
