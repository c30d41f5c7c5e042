"""Orthogonal matching pursuit: a few rows whose weighted sum comes near a target."""

from __future__ import annotations

import numpy as np
import scipy

from dvspark.schemas import Float64s, Int64s


def matching_pursuit(rows: Float64s, target: Float64s, n: int, ridge: float) -> tuple[Int64s, Float64s]:
    """Return the places of up to ``n`` of ``rows`` (m, p), in the order of choice, and their weights from 0.

    Each step takes the row that is most along what is left of the target, (p,), and weighs all rows taken anew, to the
    least |weighted sum - target|² + ``ridge`` |weights|². It ends when no row is along what is left. Weights below 0
    become 0 in the end.
    Cost: O(n m p + n³). Source: Pati, Rezaiifar & Krishnaprasad, Orthogonal matching pursuit, 1993,
    doi:10.1109/ACSSC.1993.342465.
    """
    taken, factor, along = np.empty(0, np.int64), np.zeros((n, n)), rows @ target
    weights, left = np.empty(0), target
    is_open = np.ones(len(rows), bool)
    for step in range(n):
        gains = np.where(is_open, rows @ left, -np.inf)
        best = int(np.argmax(gains))
        if not gains[best] > 0:
            break
        # The Cholesky factor of the taken rows' products, + ridge on the diagonal, grows by a row.
        new = rows[best]
        beside = rows[taken] @ new
        if step:  # SciPy before 1.14 solves no empty system
            beside = scipy.linalg.solve_triangular(factor[:step, :step], beside, lower=True)
        factor[step, :step], factor[step, step] = beside, np.sqrt(new @ new + ridge - beside @ beside)
        taken, is_open[best] = np.append(taken, best), False
        weights = scipy.linalg.cho_solve((factor[: step + 1, : step + 1], True), along[taken])
        left = target - weights @ rows[taken]
    return taken, np.maximum(weights, 0.0)
