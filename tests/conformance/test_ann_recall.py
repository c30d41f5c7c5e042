"""An approximate index on Spark: the values of `value_arrays`, and what the audit tells of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from frames import draw_data, frames_of, values_by_id

import dvspark
from dvspark.kernels.distances.distances import TILE_ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

pytest.importorskip("faiss")
pytestmark = pytest.mark.spark

# Three blocks, each with rows enough for 16 lists; all points in one chunk, as in `value_arrays`.
DATA = draw_data(2 * TILE_ROWS + 900, 60, seed=12, n_features=8)
ASKED: dict[str, Any] = {"method": "truncated_knn_shapley", "k": 5, "k_star": 60}
TOLD = {"finite", "efficiency", "near_rows", "rank_correlation", "approximation_error", "untouched"}


def _run(spark: SparkSession, plan: str, index: str, work_dir: Path) -> tuple[np.ndarray, dict[str, Any]]:
    from dvspark.run.frames.value_frames import value_table

    found = value_table(*frames_of(spark, DATA), **ASKED, index=index, plan=plan, work_dir=str(work_dir))
    assert found.run["plan"]["n_blocks"] == (3 if plan == "sharded" else 1)
    line = (
        f": {ASKED['method']} of {len(DATA.train):,} training rows by {len(DATA.validation)} validation rows, audit: "
    )
    assert all(text in found._repr_html_() for text in (line, "<td>efficiency</td>"))  # in a notebook
    assert all(text in repr(found) for text in (line, "DataFrame["))
    return values_by_id(found.values, DATA.train.ids), {finding.name: finding for finding in found.findings}


@pytest.mark.long
@pytest.mark.parametrize("plan", ["replicated", "sharded"])
def test_plans__flat_gives_the_values_of_the_exact_search(spark: SparkSession, plan: str, tmp_path: Path) -> None:
    arrays, given = DATA.arrays(self_validation=False)
    exact = dvspark.value_arrays(*arrays, **ASKED, **given)
    values, findings = _run(spark, plan, "Flat", tmp_path)
    np.testing.assert_allclose(values, exact, rtol=0, atol=1e-12)
    assert set(findings) == TOLD | {"recall"}
    assert findings["recall"].measured == 1.0
    _, findings = _run(spark, plan, "exact", tmp_path)
    assert set(findings) == TOLD | {"sample"}
    assert findings["near_rows"].verdict == "warn"
    assert {finding.verdict for name, finding in findings.items() if name != "near_rows"} == {"pass"}


def test_replicated__has_the_index_of_the_local_engine(spark: SparkSession, tmp_path: Path) -> None:
    arrays, given = DATA.arrays(self_validation=False)
    local = dvspark.value_arrays(*arrays, **ASKED, **given, index="IVF16,SQ8")
    values, findings = _run(spark, "replicated", "IVF16,SQ8", tmp_path)
    np.testing.assert_allclose(values, local, rtol=0, atol=1e-12)
    assert 0.5 < findings["recall"].measured <= 1.0
    assert findings["efficiency"].verdict == "pass"


@pytest.mark.long
def test_sharded__a_block_has_an_index_of_its_own(spark: SparkSession, tmp_path: Path) -> None:
    values, findings = _run(spark, "sharded", "IVF16,SQ8", tmp_path)
    assert np.isfinite(values).all()
    assert 0.5 < findings["recall"].measured <= 1.0
    assert findings["efficiency"].verdict == "pass"
