"""The notebooks: stored without outputs, short, and every cell runs; a run shows its progress below the cell."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from notebook_runs import code_cells, run_cells, run_notebook

pytestmark = pytest.mark.spark

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_CODE_CELLS = 10

SHOWN = re.compile(r"value +(\d+) % +(\d+) of (\d+) chunks(?:, (.*))?")
CLASSIC = """
from dvspark.spark.session import open_session
opened = open_session("local[2]", {})
spark = opened.__enter__()
"""
CONNECT = """
import os
import sys
from pyspark.sql import SparkSession
# PySpark's own switch for a server, and its client, on any free port.
os.environ.update(SPARK_TESTING="1", SPARK_LOCAL_IP="127.0.0.1", PYSPARK_PYTHON=sys.executable)
builder = SparkSession.builder.remote("local[2]")
for name in ("spark.driver.bindAddress", "spark.driver.host", "spark.connect.grpc.binding.address"):
    builder = builder.config(name, "127.0.0.1")
builder = builder.config("spark.sql.shuffle.partitions", "4").config("spark.ui.enabled", "false")
spark = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
"""
# The validation rows come in as many partitions as the first query has chunks.
TABLE = """
import dvspark
from dvspark.demo import DATA
train = spark.read.parquet(str(DATA / "train.parquet")).limit(1000)
one = spark.read.parquet(str(DATA / "validation.parquet")).drop("owner")
validation = one
for number in (1, 2, 3):
    validation = validation.union(one.selectExpr(f"concat(id, '-{number}') AS id", "embedding", "label"))
dvspark.value_table(train, validation, metric="cosine")
"""
LOCAL = """
from dvspark.config.sources import load_config
from dvspark.demo import DATA
from dvspark.run import pipeline
from dvspark.run.engine_choice import open_engine
sides = {side: {"path": str(DATA / f"{side}.parquet")} for side in ("train", "validation")}
config = load_config(None, {**sides, "output": {"path": "out"}, "engine": "local", "report": False})
with open_engine(config) as session:
    pipeline.run(config, session)
"""
RUNS = {"local": [LOCAL], "classic": [CLASSIC, TABLE, "opened.__exit__(None, None, None)"]}
RUNS["connect"] = [CONNECT, TABLE, "spark.stop()"]


def outputs(notebook: nbformat.NotebookNode) -> list[Any]:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def number_of(notebook: nbformat.NotebookNode) -> float:
    """Return the number that the last cell but one shows."""
    return float(code_cells(notebook)[-2].outputs[-1]["data"]["text/plain"])


def is_of_job(notebook: nbformat.NotebookNode) -> None:
    assert number_of(notebook) < 1e-12


def finds_labels(notebook: nbformat.NotebookNode) -> None:
    (found,) = [output for output in outputs(notebook) if "chance" in str(output) and "125" in str(output)]
    rows = [line.split() for line in found["data"]["text/plain"].splitlines()]
    counts = {int(row[0]): [int(count) for count in row[1:]] for row in rows if row and row[0].isdigit()}
    *by_values, by_chance = counts[500]  # of 2,000 rows, 500 of them wrong
    assert all(count > 2 * by_chance for count in by_values)


def shown(notebook: nbformat.NotebookNode, place: int = -1) -> str:
    """Return what the code cell at this place shows last."""
    return str(code_cells(notebook)[place].outputs[-1]["data"]["text/plain"])


def texts(notebook: nbformat.NotebookNode) -> str:
    return "".join(output.get("text", "") for output in outputs(notebook))


def pays_it_all(notebook: nbformat.NotebookNode) -> None:
    assert "10000.00 paid to" in texts(notebook)


def keeps_what_helps(notebook: nbformat.NotebookNode) -> None:
    curves = {float(row.split()[0]): row.split()[1:] for row in shown(notebook, 3).splitlines()[1:]}
    assert float(curves[0.1][0]) > float(curves[0.1][1])  # by value, and at random
    *_, by_value, cheapest = shown(notebook, -2).split()  # right votes
    assert float(by_value) > float(cheapest)


def pays_for_what_is_new(notebook: nbformat.NotebookNode) -> None:
    paid = {row.split()[1]: float(row.split()[-1]) for row in shown(notebook, 4).splitlines()[1:]}
    assert paid["fresh"] > 9000


def decides(notebook: nbformat.NotebookNode) -> None:
    found = {row.rsplit(maxsplit=1)[0]: float(row.split()[-1]) for row in shown(notebook, 3).splitlines()[:-1]}
    assert found["precision"] > 0.5
    assert found["twice, found"] == 50
    assert found["leaks, found"] == 20
    spoiled, cleaned, before = (float(row.split()[-1]) for row in shown(notebook, -2).splitlines()[:3])
    assert spoiled < cleaned < before


def finds_what_is_spoiled(notebook: nbformat.NotebookNode) -> None:
    rows = [line.split() for line in texts(notebook).splitlines() if line.startswith(("knn_shapley", "chg_shapley"))]
    assert all(float(row[2]) > 0.8 for row in rows[:3])  # AUROC


CHECKS: dict[str, Callable[[nbformat.NotebookNode], None]] = {
    "01_first_look": is_of_job,
    "02_labels": finds_labels,
    "03_spark_tables": is_of_job,
    "04_owners": pays_it_all,
    "05_selection": keeps_what_helps,
    "06_acquisition": pays_for_what_is_new,
    "07_review": decides,
    "08_evaluation": finds_what_is_spoiled,
}
WITHOUT_JOB = {"08_evaluation"}


def test_notebooks__all_have_a_check() -> None:
    assert [path.stem for path in NOTEBOOKS] == [*CHECKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook__is_short_and_stored_without_outputs(path: Path) -> None:
    cells = code_cells(nbformat.read(path, as_version=4))
    assert 0 < len(cells) <= MOST_CODE_CELLS
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


@pytest.mark.long
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook__runs(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    run_notebook(notebook, tmp_path)
    CHECKS[path.stem](notebook)
    assert "rror" not in texts(notebook).replace("standard_error", "")
    assert path.stem in WITHOUT_JOB or "pass" in str(outputs(notebook))  # the audit's verdict


@pytest.mark.long
@pytest.mark.parametrize("how", RUNS)
def test_progress__is_a_bar_below_the_cell_that_tells_the_truth(how: str, tmp_path: Path, java_home: Path) -> None:
    if how == "connect":
        pytest.importorskip("grpc", reason="needs the extra `connect`")
    notebook, displayed = run_cells(RUNS[how], tmp_path)
    shown = [found for line in displayed if (found := SHOWN.fullmatch(line))]
    assert len(shown) == len(displayed) > 2
    done, totals = [int(one[2]) for one in shown], {int(one[3]) for one in shown}
    (total,) = totals
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, total)
    assert "starting workers" in shown[0][4]
    assert shown[-1][4].startswith("in ")
    at_once = 2
    for one in shown:
        assert "left" not in str(one[4]) or int(one[2]) >= 2 * at_once
    bars = [output for output in outputs(notebook) if "<progress" in str(output)]
    assert len(bars) == 1  # one output, updated in place
