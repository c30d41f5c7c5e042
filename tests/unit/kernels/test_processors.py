"""Values with all rows in order have the same bits whatever products BLAS makes."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import hashlib, json, sys
import numpy as np
import threadpoolctl
import dvspark

rng = np.random.default_rng(1)
x, points = (rng.standard_normal((n, 64), dtype=np.float32) for n in (20_000, 10))
labels, own = (rng.integers(0, 10, n) for n in (20_000, 10))
found = {}
for tolerance in (1e-8, 0):
    for method in ("knn_shapley", "soft_knn_shapley", "knn_banzhaf"):
        for metric in ("euclidean", "cosine", "inner_product"):
            values, bounds = dvspark.value_arrays(
                x, labels, points, own, k=10, method=method, metric=metric, tolerance=tolerance, error_bound=True
            )
            assert tolerance > 0 or not bounds.any()
            found[f"{tolerance} {method} {metric}"] = hashlib.sha256(values.tobytes()).hexdigest()
print(json.dumps([found, sorted({pool.get("architecture") for pool in threadpoolctl.threadpool_info()}, key=str)]))
"""


def _digests(core_type: str) -> tuple[dict[str, str], list[str]]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    given |= {"OPENBLAS_CORETYPE": core_type, "OPENBLAS_NUM_THREADS": "1", "DVSPARK_LOOPS": "numpy"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=given, check=True, capture_output=True, text=True)
    found, cores = json.loads(done.stdout)
    return found, cores


@pytest.mark.long
@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are processors of that kind")
def test_values__in_exact_order_have_the_same_bits_on_any_processor() -> None:
    (old, old_cores), (new, new_cores) = _digests("Nehalem"), _digests("Haswell")
    if old_cores == new_cores:
        pytest.skip(f"this BLAS takes the products of {new_cores} whatever it is told")
    differ = {call for call in old if old[call] != new[call]}
    assert differ  # so these processors do round otherwise
    assert not [call for call in differ if call.startswith("0 ")]
