"""Moments of Beta distributions against fractions; jobs pass their audit at the largest and smallest parameters."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dvspark.cli.front import main
from dvspark.kernels.formulas.log_moment import log_moment


@pytest.mark.parametrize(
    ("alpha", "beta"), [(1, 1), (3, 16), (19, 20), (64, 1), (1_000, 1), (10**4, 10**4), (10**6, 2)]
)
@pytest.mark.parametrize(("joined", "others"), [(0, 0), (1, 0), (0, 7), (5, 3), (300, 20), (10, 400)])
def test_log_moment__is_that_of_fractions(alpha: int, beta: int, joined: int, others: int) -> None:
    exact = Fraction(1)
    for i in range(joined):
        exact *= Fraction(beta + i, alpha + beta + i)
    for i in range(others):
        exact *= Fraction(alpha + i, alpha + beta + joined + i)
    expected = math.log(exact.numerator) - math.log(exact.denominator)
    found = log_moment(float(joined), float(others), alpha, beta)
    assert found == pytest.approx(expected, abs=2e-13 + 2e-15 * (joined + others))


@pytest.mark.parametrize(("alpha", "beta"), [(1e-9, 1.0), (1.0, 1e-9), (1e4, 1e4), (1e4, 1e-9)])
@pytest.mark.parametrize("method", ["knn_beta", "threshold_knn_beta"])
def test_beta_job__passes_its_audit_at_any_parameters(method: str, alpha: float, beta: float, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for side, n in (("train", 400), ("validation", 30)):
        x = rng.normal(size=(n, 2)).astype(np.float32)
        table = pa.table({"id": range(n), "embedding": list(x), "label": rng.integers(0, 2, n)})
        pq.write_table(table, tmp_path / f"{side}.parquet")
    words = ["value", "--train", f"{tmp_path}/train.parquet", "--validation", f"{tmp_path}/validation.parquet"]
    words += ["--output", f"{tmp_path}/out", "--engine", "local", "--method", method, "--alpha", str(alpha)]
    words += ["--beta", str(beta), "--report", "false"]
    words += ["--k", "5"] if method == "knn_beta" else ["--radius", "1.0"]
    assert main(words) == 0
