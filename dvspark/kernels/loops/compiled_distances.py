"""The loops of `loops` for exact distances, in Numba; only these have other bits than in NumPy."""

from __future__ import annotations

import numpy as np

from dvspark.kernels.loops.compiling import reordered
from dvspark.schemas import Float64s, Floats, Int64s


@reordered
def squared_distances(x: Floats, rows: Int64s, z: Float64s, out: Float64s) -> None:
    """See `loops.squared_distances`. Squares are added in the order that suits SIMD, the same for every row."""
    n_features, last = x.shape[1], len(rows) - 1
    # Rows lie anywhere in memory: four are waited for at once. The last four may be one row again and again, since
    # another loop for what is left would add in another order.
    for place in range(0, len(rows), 4):
        second, third, fourth = min(place + 1, last), min(place + 2, last), min(place + 3, last)
        a, b, c, d = x[rows[place]], x[rows[second]], x[rows[third]], x[rows[fourth]]
        of_a = of_b = of_c = of_d = 0.0
        for feature in range(n_features):
            target = z[feature]
            from_a, from_b = np.float64(a[feature]) - target, np.float64(b[feature]) - target
            from_c, from_d = np.float64(c[feature]) - target, np.float64(d[feature]) - target
            of_a += from_a * from_a
            of_b += from_b * from_b
            of_c += from_c * from_c
            of_d += from_d * from_d
        out[fourth], out[third], out[second], out[place] = of_d, of_c, of_b, of_a


@reordered
def unit_squared_distances(x: Floats, rows: Int64s, z: Float64s, out: Float64s) -> None:
    """See `loops.unit_squared_distances`; four rows at once, as above."""
    n_features, last = x.shape[1], len(rows) - 1
    for place in range(0, len(rows), 4):
        second, third, fourth = min(place + 1, last), min(place + 2, last), min(place + 3, last)
        a, b, c, d = x[rows[place]], x[rows[second]], x[rows[third]], x[rows[fourth]]
        of_a = of_b = of_c = of_d = 0.0
        for feature in range(n_features):
            in_a, in_b = np.float64(a[feature]), np.float64(b[feature])
            in_c, in_d = np.float64(c[feature]), np.float64(d[feature])
            of_a += in_a * in_a
            of_b += in_b * in_b
            of_c += in_c * in_c
            of_d += in_d * in_d
        long_a, long_b, long_c, long_d = np.sqrt(of_a), np.sqrt(of_b), np.sqrt(of_c), np.sqrt(of_d)
        of_a = of_b = of_c = of_d = 0.0
        for feature in range(n_features):
            target = z[feature]
            from_a, from_b = np.float64(a[feature]) / long_a - target, np.float64(b[feature]) / long_b - target
            from_c, from_d = np.float64(c[feature]) / long_c - target, np.float64(d[feature]) / long_d - target
            of_a += from_a * from_a
            of_b += from_b * from_b
            of_c += from_c * from_c
            of_d += from_d * from_d
        out[fourth], out[third], out[second], out[place] = of_d, of_c, of_b, of_a
