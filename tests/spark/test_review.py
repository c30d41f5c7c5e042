"""A review on Spark decides as the one of arrays does, under both plans."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from frames import draw_data, frames_of
from pyspark.sql import SparkSession

import dvspark
from dvspark.errors import ConfigError, InputError

pytestmark = pytest.mark.spark

DATA = draw_data(90, 40, seed=19, n_features=4, id_type="string", label_type="string")
EXACT = ("label_issue", "suggested_label", "duplicate_of", "leaked_from", "decision", "reason")
NUMBERS = ("value", "label_score", "suggested_score", "outlier_score")


def _rows(table: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = table.sort_by("id").to_pydict()
    return found


@pytest.mark.parametrize("plan", ["replicated", "sharded"])
@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.filterwarnings("ignore::dvspark.DataWarning")
def test_review_table__decides_as_review_arrays(spark: SparkSession, tmp_path: Any, plan: str, alone: bool) -> None:
    train, validation = frames_of(spark, DATA)
    radius: float | str = "auto" if alone else 1.0  # a dozen rows are nearer than that to an earlier one
    found = dvspark.review_table(
        train, None if alone else validation, k=7, duplicate_radius=radius, plan=plan, work_dir=str(tmp_path)
    )
    ids: dict[str, Any] = {"train_ids": DATA.train.ids}
    arrays: tuple[Any, ...] = (DATA.train.x, DATA.train.labels)
    if not alone:
        arrays = (*arrays, DATA.validation.x, DATA.validation.labels)
        ids["validation_ids"] = DATA.validation.ids
    expected, got = (
        _rows(dvspark.review_arrays(*arrays, **ids, k=7, duplicate_radius=radius).table),
        _rows(found.table.toArrow()),
    )
    assert list(got) == list(expected)
    for name in EXACT:
        assert got[name] == expected[name], name
    assert alone or sum(one is not None for one in got["duplicate_of"]) > 5
    for name in NUMBERS:
        np.testing.assert_allclose(got[name], expected[name], rtol=0, atol=1e-9, err_msg=name)
    assert found.run["review"]["decisions"] == found.review.counts()


def test_review_table__refuses_what_it_cannot_review(spark: SparkSession) -> None:
    train, _ = frames_of(spark, DATA)
    with pytest.raises(ConfigError, match="a distance, for a review"):
        dvspark.review_table(train, metric="inner_product")
    with pytest.raises(ConfigError, match="whole number"):
        dvspark.review_table(train, k=0)
    with pytest.raises(ConfigError, match="'auto' or a number from 0"):
        dvspark.review_table(train, duplicate_radius=-1)
    with pytest.raises(InputError):
        dvspark.review_table(train.withColumnRenamed("label", "name"))
