"""Reproductions run, tiny; and docs/reproductions.md is what their stored result makes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dvspark import value_arrays
from dvspark.subsets import CRITERIA, SubsetTraining
from tests.bench.reproductions.article import article_cells, compared
from tests.bench.reproductions.chg_figures import LOOKED_AT, REMOVED, TRAINING, chg_contenders, chg_rows
from tests.bench.reproductions.data import paper_sets, two_d_planes
from tests.bench.reproductions.figures import FIGURE_METHODS, figure_rows
from tests.bench.reproductions.page import RESULTS, page
from tests.bench.reproductions.seed_article import seed_rows
from tests.bench.reproductions.subsets import FLIPS, subset_rows

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the command takes it, with generated rows."""
    folder = tmp_path_factory.mktemp("sets")
    rows = two_d_planes(900)
    np.savez(folder / "tknn_2dplanes_727.npz", X=rows.x.astype(np.float32), y=rows.y)
    return folder


def test_article__cells_are_compared_with_those_that_are_published(folder: Path) -> None:
    cells = article_cells(paper_sets(folder), [999], tiny=True)
    tables = {cell["table"] for cell in cells}
    assert tables == {"11", "12", "13", "14", "private, labels", "private, features", "membership"}
    (cell,) = [cell for cell in cells if cell["table"] == "13"]
    assert cell["column"] == "K 5"
    published = folder / "published.json"
    values = {"same": cell["mean"], "near": cell["mean"] + 0.0049, "far": cell["mean"] + 0.0051}
    for name, value in values.items():
        published.write_text(json.dumps([{"table": "13", "set": "2dplanes", "column": "K 5", "value": value}]))
        (row,) = [row for row in compared(cells, published) if row["table"] == "13"]
        assert row["within"] == ("no" if name == "far" else "yes")
    assert [row["table"] for row in compared(cells, None)] == [
        "11",
        "private, labels",
    ]  # as the program's page has them


def test_two_d_planes__are_two_planes() -> None:
    rows = two_d_planes(4_000)
    assert set(np.unique(rows.x[:, 0])) == {-1, 1}
    assert set(np.unique(rows.x[:, 1:])) == {-1, 0, 1}
    assert rows.y.mean() == pytest.approx(0.5, abs=0.03)
    for sign, used in ((1, [1, 2, 3]), (-1, [4, 5, 6])):
        of_plane = rows.take(np.flatnonzero(rows.x[:, 0] == sign))
        slopes = np.abs([np.corrcoef(column, of_plane.y)[0, 1] for column in of_plane.x.T[1:]])
        assert sorted(np.argsort(-slopes)[:3] + 1) == used


def test_figures__have_a_row_a_set_method_and_size() -> None:
    found = figure_rows([("planes", two_d_planes(300))], [0], n_train=80, n_validation=30)
    counts = {title: len(rows) for title, rows in found.items()}
    n = len(FIGURE_METHODS)
    assert counts == {"wrong labels": n, "half of the rows noisy": 4 * n, "adversarial rows": 6 * n}


def test_page__is_what_the_result_makes() -> None:
    # python -m tests.bench.reproductions.page > docs/reproductions.md
    made = page(json.loads(RESULTS.read_text(encoding="utf-8")))
    assert (ROOT / "docs" / "reproductions.md").read_text(encoding="utf-8") == made


@pytest.mark.long
def test_seed_article__both_estimators_come_near_the_exact_values() -> None:
    found = seed_rows([0], tiny=True)
    for row in found["values"]:
        assert row["reference"] == pytest.approx(row["exact"], abs=0.02)
        assert row["permutations"] == pytest.approx(row["exact"], abs=0.05)
        assert row["group testing"] == pytest.approx(row["exact"], abs=0.05)
    assert {row["estimator"] for row in found["errors"]} == {"permutations", "group testing"}
    assert [row["rows"] for row in found["time"]] == [6, 6]


@pytest.mark.parametrize("part", ["article", "public"])
def test_page__can_have_one_part_alone(part: str) -> None:
    alone = page({part: json.loads(RESULTS.read_text(encoding="utf-8"))[part]})
    assert ("## The threshold article" in alone, "## The public part" in alone) == (part == "article", part == "public")


def test_chg__values_of_the_article_are_means_over_epochs_of_a_head() -> None:
    rows = two_d_planes(60)
    (one,) = [one for one in chg_contenders() if one.name == "article, gradients"]
    given = {"method": "chg_shapley", "variant": "gradient", "self_validation": True, **TRAINING}
    assert one.values(rows, two_d_planes(9)).tobytes() == value_arrays(rows.x, rows.y, **given).tobytes()


@pytest.mark.long
def test_chg__has_a_table_of_each_spoil_and_of_removals() -> None:
    found = chg_rows([("planes", two_d_planes(160))], [0, 1], n_train=80, n_validation=60)
    names = [one.name for one in chg_contenders()]
    assert len(found["found"]) == 2 * ((len(names) + 2) * len(LOOKED_AT) + len(names))
    assert len(found["removed"]) == (2 * len(names) + 1) * len(REMOVED)
    told = page({"chg": {"date": "", "machine": {"processor": "", "cores": 1}, "versions": {}, "seeds": [0, 1],
                         "figures": found}})  # fmt: skip
    assert told.count("| planes | article, losses ") == 3
    assert len([line for line in told.splitlines() if line.startswith("| planes | random ")]) == 3


def test_subsets__have_a_row_a_set_share_of_wrong_labels_criterion_and_share() -> None:
    train, validation = two_d_planes(120), two_d_planes(80)
    sets = iter([("planes", train, validation)])
    found = subset_rows(sets, [0, 1], SubsetTraining(epochs=3, every=2), [0.1, 0.5])
    assert len(found) == len(FLIPS) * (1 + 2 * (len(CRITERIA) - 1))
    told = page({"subsets": {"date": "", "machine": {"processor": "", "cores": 1}, "versions": {}, "seeds": [0],
                             "training": vars(SubsetTraining()), "rows": found}})  # fmt: skip
    assert "### planes, 120 rows, 30 % wrong labels" in told
    assert all(f"| {name} " in told for name in CRITERIA)
