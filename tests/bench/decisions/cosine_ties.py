"""Decision 0004: which rule makes equal cosine distances equal, and leaves unequal ones apart."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tests.bench.decisions import print_machine

import numpy as np  # isort: skip

from dvspark.kernels.distances.distances import exact_keys, settle_ties

GRIDS = (1e-12, 1e-15, 2.0**-52)
N_PAIRS = 20_000
N_FEATURES = 24

# Rows, point, and whether the two rows are at the same angle in exact arithmetic.
CASES = (
    ("tie", [[2, 2, 1], [0, 0, 1]], [-1, -1, -2], True),
    ("near", [[1e8, 3], [1e8, 2]], [1e8, 0], False),
)


def random_ties() -> np.ndarray:
    """Return keys (N_PAIRS, 2) of rows x and 3 x to a point each: equal in exact arithmetic."""
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 10, (N_PAIRS, N_FEATURES)).astype(np.float64)
    x[~x.any(axis=1), 0] = 1.0
    z = rng.standard_normal((N_PAIRS, N_FEATURES))
    return np.stack([exact_keys(np.stack([row, 3 * row]), np.arange(2), z[i], "cosine") for i, row in enumerate(x)])


def main() -> int:
    """Print what each rule makes of the two cases, and how many of the random ties it splits."""
    print_machine()
    rules: dict[str, Callable[[np.ndarray], np.ndarray]] = {"as computed": lambda keys: keys}
    rules |= {f"grid of {grid:.1e}": lambda keys, grid=grid: np.round(keys / grid) for grid in GRIDS}
    rules["closer than rounding"] = lambda keys: settle_ties(keys, "cosine")
    ties = random_ties()
    for name, rows, point, tied in CASES:
        keys = exact_keys(np.array(rows, np.float64), np.arange(2), np.array(point, np.float64), "cosine")
        print(f"{name}: keys {keys[0]:.17g} and {keys[1]:.17g}, exactly {'equal' if tied else 'unequal'}")
    print(f"{'rule':<22}  {'tie':<7}  {'near':<7}  {'x and 3 x split':>15}")
    for rule, settle in rules.items():
        verdicts = []
        for _, rows, point, tied in CASES:
            keys = settle(exact_keys(np.array(rows, np.float64), np.arange(2), np.array(point, np.float64), "cosine"))
            verdicts.append("right" if (keys[0] == keys[1]) == tied else "wrong")
        split = sum(bool(keys[0] != keys[1]) for keys in map(settle, ties))
        print(f"{rule:<22}  {verdicts[0]:<7}  {verdicts[1]:<7}  {split:>7,} of {N_PAIRS:,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
