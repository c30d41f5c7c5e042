"""Games whose ranges tasks play: the bits of one process, whatever the partitions; failures named as they are there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dvspark import ComputeError, ConfigError, value_game

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

METHODS: list[tuple[str, dict[str, Any]]] = [
    ("monte_carlo_shapley", {"sampling": "stratified"}),
    ("group_testing_shapley", {"cache": True}),
    ("monte_carlo_banzhaf", {}),
    ("leave_one_out", {}),
]


def made_here() -> Callable[[np.ndarray], float]:
    """Return a utility that travels by value: tasks cannot import this file."""

    def utility(players: np.ndarray) -> float:
        return float(np.sin(players.sum()) + np.sqrt(len(players)))

    return utility


@pytest.mark.parametrize(("method", "options"), METHODS)
def test_tasks__give_the_bits_of_one_process(spark: SparkSession, method: str, options: dict, monkeypatch) -> None:
    from dvspark.engine.games import on_spark
    from dvspark.engine.planning.cluster import Hosts

    here = value_game(made_here(), 70, method, 6_000, 5, **options)
    for n_tasks in (1, 3):
        monkeypatch.setattr(on_spark, "read_hosts", lambda session, memory, n=n_tasks: Hosts(n, n, 2**30))
        there = value_game(made_here(), 70, method, 6_000, 5, spark=spark, **options)
        assert there.values.tobytes() == here.values.tobytes()
        assert there.standard_errors.tobytes() == here.standard_errors.tobytes()
        assert (there.n_evaluations, there.n_draws) == (here.n_evaluations, here.n_draws)


def test_rule_that_stops__stops_where_one_process_does(spark: SparkSession) -> None:
    by = {"evaluations": 10**6, "standard_error": 0.05}
    here = value_game(made_here(), 9, **by)
    there = value_game(made_here(), 9, spark=spark, **by)
    assert there.stopped_by == "standard_error"
    assert there.values.tobytes() == here.values.tobytes()
    assert there.n_evaluations == here.n_evaluations


def test_failure_in_a_task__names_the_coalition(spark: SparkSession) -> None:
    def failing(players: np.ndarray) -> float:
        if len(players) == 3:
            raise ValueError("three are too many")
        return 1.0

    with pytest.raises(ComputeError, match="three are too many") as caught:
        value_game(failing, 5, evaluations=500, spark=spark)
    assert "coalition {" in str(caught.value)


def test_named_utility__is_made_once_a_process(spark: SparkSession, tmp_path: Path, monkeypatch) -> None:
    made = tmp_path / "made"
    module = tmp_path / "named_game.py"
    module.write_text(
        "import os, uuid\n"
        f"MADE = {str(made)!r}\n"
        "def make():\n"
        "    os.makedirs(MADE, exist_ok=True)\n"
        "    open(os.path.join(MADE, f'{os.getpid()}-{uuid.uuid4().hex}'), 'w').close()\n"
        "    return lambda players: float(len(players))\n"
        "NUMBER = 3\n"
        "def wrong():\n"
        "    return 3\n",
        encoding="utf-8",
    )
    spark.addArtifacts(str(module), pyfile=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    result = value_game("named_game:make", 6, evaluations=2_000, spark=spark)
    assert np.allclose(result.values, 1.0)
    processes = [path.name.split("-")[0] for path in made.iterdir()]
    assert len(processes) == len(set(processes)) >= 2  # here and in tasks
    for bad in ("named_game:missing", "named_game:NUMBER", "named_game:wrong", "no_such_module:make", "nothing"):
        with pytest.raises(ConfigError, match="utility"):
            value_game(bad, 6)
