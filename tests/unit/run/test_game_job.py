"""Jobs that play a game, without Spark: the bits of `value_game`, also after a kill; what the record and audit tell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import Side, draw_data, write_parquet

import dvspark
from dvspark.games.utilities import GameTables, knn

DATA = draw_data(40, 30, seed=11, id_type="string", label_type="string")
# Utilities that job and test share. `mortal` ends the job's own process, once, in the middle of the game.
MODULE = """
import os, signal
from dvspark.games.utilities import knn

def plain(tables, k=3):
    utility = knn(tables, k=k)
    return lambda players: utility(players)  # does not walk

def mortal(tables, folder, calls):
    utility = plain(tables)
    def worth(players):
        with open(os.path.join(folder, "calls"), "ab") as file:
            file.write(b".")
            n_calls = file.tell()
        marker = os.path.join(folder, "killed")
        if n_calls > calls and not os.path.exists(marker):
            open(marker, "w").close()
            os.kill(os.getppid(), signal.SIGKILL)
        return utility(players)
    return worth

def failing(tables):
    return lambda players: float("nan") if len(players) == 7 else 1.0

def restless(tables):
    import secrets
    return lambda players: secrets.randbelow(10**6) / 10**6
"""
ORDERS = ("--method", "monte_carlo_shapley", "--evaluations", "20000", "--seed", "5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both tables, and the module of utilities."""
    folder = tmp_path_factory.mktemp("game")
    owners = {"owner": [f"owner {row % 5}" for row in range(40)]}
    write_parquet(folder / "train.parquet", DATA.train, **owners)
    write_parquet(folder / "validation.parquet", DATA.validation)
    (folder / "job_utilities.py").write_text(MODULE)
    return folder


def job(folder: Path, out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `dvspark value` on both tables, without Spark."""
    paths = ["--train", str(folder / "train.parquet"), "--validation", str(folder / "validation.parquet")]
    command = [sys.executable, "-m", "dvspark", "value", *paths, "--output", str(out), "--run_id", "run"]
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    return subprocess.run(
        [*command, "--engine", "local", *words],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def published(out: Path) -> tuple[Any, dict[str, Any]]:
    """Return the values in id order, and the run record."""
    record = json.loads((out / "runs" / "run" / "run.json").read_text())
    return pq.read_table(out / "values" / "run_id=run").sort_by("id"), record


def tables(owners: Any = None) -> GameTables:
    """Return the game's tables in id order."""
    (x, y), (z, w) = map(_in_order, (DATA.train, DATA.validation))
    return GameTables.of(x, y, z, w, owners)


def _in_order(side: Side) -> tuple[Any, Any]:
    order = np.argsort(np.array(side.ids))
    return np.asarray(side.x)[order], np.array(side.labels)[order]


def test_job__has_the_bits_of_value_game_and_tells_what_was_played(folder: Path, tmp_path: Path) -> None:
    done = job(folder, tmp_path, *ORDERS, "--utility", "knn", "--k", "3", "--utility_range", "1")
    assert done.returncode == 0, done.stderr
    values, record = published(tmp_path)
    played = dvspark.value_game(knn(tables(), k=3), 40, "monte_carlo_shapley", 20_000, 5, utility_range=1.0)
    assert values["value"].to_numpy().tobytes() == played.values.tobytes()
    assert values["standard_error"].to_numpy().tobytes() == played.standard_errors.tobytes()
    assert set(values["error_bound"].to_pylist()) == {played.error_bound} == {record["error_bound"]}
    game = record["game"]
    assert (game["n_evaluations"], game["n_draws"]) == (played.n_evaluations, played.n_draws)
    assert (game["utility_of_all"], game["utility_of_none"]) == played.utility
    assert {name: game[name] for name in ("utility", "seed", "n_players", "n_failures", "stopped_by")} == {
        "utility": "knn", "seed": 5, "n_players": 40, "n_failures": 0, "stopped_by": "evaluations",
    }  # fmt: skip
    assert record["inputs"]["n_validation"] == 30
    assert {one["name"]: one["verdict"] for one in record["findings"]} == dict.fromkeys(
        ("finite", "worths", "ranges", "efficiency"), "pass"
    )
    report = (tmp_path / "runs" / "run" / "report.html").read_text()
    assert "monte_carlo_shapley" in report


@pytest.mark.long
def test_job_without_a_range__promises_no_bound(folder: Path, tmp_path: Path) -> None:
    done = job(folder, tmp_path, *ORDERS, "--utility", "job_utilities:plain(k=2)", "--report", "false")
    assert done.returncode == 0, done.stderr
    values, record = published(tmp_path)
    assert "error_bound" not in values.column_names
    assert record["error_bound"] is None
    assert not (tmp_path / "ledger").exists()
    played = dvspark.value_game(knn(tables(), k=2).__call__, 40, "monte_carlo_shapley", 20_000, 5)
    assert values["value"].to_numpy().tobytes() == played.values.tobytes()


@pytest.mark.long
def test_owners__are_valued_where_players_are_owners(folder: Path, tmp_path: Path) -> None:
    words = (
        "--method",
        "ame",
        "--players",
        "owners",
        "--train.owner",
        "owner",
        "--evaluations",
        "500",
        "--cache_worths",
    )
    done = job(folder, tmp_path, *words, "true", "--k", "3")
    assert done.returncode == 0, done.stderr
    values, record = published(tmp_path)
    order = np.argsort(np.array(DATA.train.ids))
    owners = np.array([f"owner {row % 5}" for row in range(40)])[order]
    played = dvspark.value_game(knn(tables(owners), k=3), 5, "ame", 500)
    assert values["id"].to_pylist() == sorted(set(owners.tolist()))
    assert values["value"].to_numpy().tobytes() == played.values.tobytes()
    assert record["game"]["n_cache_hits"] > 0  # five owners have only 32 sets


@pytest.mark.long
def test_job_that_is_killed__goes_on_with_the_same_bits(folder: Path, tmp_path: Path) -> None:
    # A range has 16 draws of two orders with 39 evaluations each; the ninth range begins after 8 of them.
    (tmp_path / "calls").touch()
    calls = 8 * 16 * 2 * 39
    utility = f"job_utilities:mortal(folder={str(tmp_path)!r}, calls={calls})"
    killed = job(folder, tmp_path / "out", *ORDERS, "--utility", utility)
    assert killed.returncode == -signal.SIGKILL
    assert list((tmp_path / "out").glob("ledger/*/game.arrow")) != []
    assert not (tmp_path / "out" / "values").exists()
    before = (tmp_path / "calls").stat().st_size
    done = job(folder, tmp_path / "out", *ORDERS, "--utility", utility)
    assert done.returncode == 0, done.stderr
    (known,) = (json.loads(line)["evaluations"] for line in done.stderr.splitlines() if "were done before" in line)
    assert known >= 2 + calls / 8
    values, record = published(tmp_path / "out")
    played = dvspark.value_game(knn(tables(), k=3).__call__, 40, "monte_carlo_shapley", 20_000, 5)
    assert values["value"].to_numpy().tobytes() == played.values.tobytes()
    assert values["standard_error"].to_numpy().tobytes() == played.standard_errors.tobytes()
    assert record["game"]["n_evaluations"] == played.n_evaluations
    # What was left, both ends, and the audit's 18 sets and one range.
    again = (tmp_path / "calls").stat().st_size - before
    assert again <= played.n_evaluations - known + 2 + 18 + calls / 8
    assert {one["verdict"] for one in record["findings"]} == {"pass"}
    assert not (tmp_path / "out" / "ledger").exists()


@pytest.mark.long
def test_utility_that_fails__ends_the_job_and_names_the_coalition(folder: Path, tmp_path: Path) -> None:
    done = job(folder, tmp_path, *ORDERS, "--utility", "job_utilities:failing")
    assert done.returncode == 5
    assert "calls failed" in done.stderr
    assert "coalition {" in done.stderr
    assert not (tmp_path / "values").exists()


@pytest.mark.long
def test_utility_that_forgets__does_not_pass_the_audit(folder: Path, tmp_path: Path) -> None:
    done = job(folder, tmp_path, *ORDERS, "--utility", "job_utilities:restless")
    assert done.returncode == 6
    assert "audit: worths" in done.stderr
    assert not (tmp_path / "values").exists()


@pytest.mark.long
def test_too_small_a_budget__is_told_before_anything_is_played(folder: Path, tmp_path: Path) -> None:
    done = job(folder, tmp_path, "--method", "monte_carlo_shapley", "--evaluations", "50")
    assert done.returncode == 2
    assert "at least 158 for 40 players" in done.stderr


@pytest.mark.long
def test_job__of_a_thousand_rows_agrees_with_knn_shapley_by_its_own_intervals(tmp_path: Path) -> None:
    """Intervals of 95 % after 200 draws, of rows that matter in few coalitions: docs/games.md tells of 86 to 93 %."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(1_000, 4)), rng.normal(size=(50, 4))
    for name, rows in (("train", x), ("validation", z)):
        columns = {"id": np.arange(len(rows)), "embedding": list(rows), "label": (rows[:, 0] > 0).astype(int)}
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    exactly = ("--method", "knn_shapley", "--k", "5")
    by_draws = ("--method", "monte_carlo_shapley", "--utility", "knn", "--k", "5", "--evaluations", "400000")
    found = []
    for name, words in (("exact", exactly), ("drawn", (*by_draws, "--seed", "2"))):
        done = job(tmp_path, tmp_path / name, *words)
        assert done.returncode == 0, done.stderr
        found.append(published(tmp_path / name)[0])
    exact, value = (table["value"].to_numpy() for table in found)
    error = found[1]["standard_error"].to_numpy()
    assert 0.86 <= np.mean(np.abs(value - exact) <= 1.96 * error) <= 0.93
    assert 0.9 < np.sum((value - exact) ** 2) / np.sum(error**2) < 1.2
    assert np.corrcoef(value, exact)[0, 1] > 0.9  # so this is no noise around zero
