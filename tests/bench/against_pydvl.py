"""Against pyDVL's exact KNN-Shapley, as a black box: `python -m tests.bench.against_pydvl` (group `bench`)."""

from __future__ import annotations

from typing import Any

import numpy as np

import dvspark
from tests.bench.frame import Result, apart, cpu_seconds, result, run, say

QUESTION = "How much faster than pyDVL, and are the values the same?"
METHOD = """\
`pydvl.valuation.KNNShapleyValuation` against `dvspark.value_arrays` on the same float32 arrays: CPU seconds of one
thread, from arrays to values, each in a process of its own; the median of three runs after one that does not count.
Normal data, 10 classes, k = 10. pyDVL needs a NumPy below 2, so both are measured in an environment of their own."""
SIZES = [(1_000, 64, 100), (3_000, 64, 100), (10_000, 64, 100)]
TINY_SIZES = [(200, 8, 10)]
K = 10
RUNS = 3


def main(tiny: bool = False) -> Result:
    """Measure every size; about a minute."""
    rows = []
    for n, d, m in TINY_SIZES if tiny else SIZES:
        say(f"against_pydvl: {n:,} × {d} × {m:,}")
        theirs, ours = (apart(of, n=n, d=d, m=m) for of in (measure_pydvl, measure_dvspark))
        rows.append(
            {
                "N": n,
                "D": d,
                "M": m,
                "pyDVL, ms a point": 1e3 * theirs["seconds"] / m,
                "dvspark, ms a point": 1e3 * ours["seconds"] / m,
                "pyDVL / dvspark": theirs["seconds"] / ours["seconds"],
                "largest difference": float(np.abs(np.subtract(theirs["values"], ours["values"])).max()),
                "largest value": float(np.abs(ours["values"]).max()),
            }
        )
    return result("against_pydvl", QUESTION, METHOD, [], {"CPU time of one validation point": rows})


def measure_dvspark(n: int, d: int, m: int) -> dict[str, Any]:
    """Return CPU seconds and values of dvspark."""
    arrays = _draw(n, d, m)
    seconds = cpu_seconds(lambda: dvspark.value_arrays(*arrays, k=K), RUNS)
    return {"seconds": seconds, "values": dvspark.value_arrays(*arrays, k=K).tolist()}


def measure_pydvl(n: int, d: int, m: int) -> dict[str, Any]:
    """Return CPU seconds and values of pyDVL."""
    from pydvl.valuation import Dataset, KNNShapleyValuation
    from sklearn.neighbors import KNeighborsClassifier

    x, y, z, y_z = _draw(n, d, m)
    train, test = Dataset(x, y), Dataset(z, y_z)

    def value() -> Any:
        valuation = KNNShapleyValuation(KNeighborsClassifier(n_neighbors=K), test, progress=False)
        return valuation.fit(train).result.sort(key="index").values

    return {"seconds": cpu_seconds(value, RUNS), "values": value().tolist()}


def _draw(n: int, d: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((n, d), np.float32), rng.standard_normal((m, d), np.float32)
    return x, rng.integers(0, 10, n), z, rng.integers(0, 10, m)


if __name__ == "__main__":
    run(main)
