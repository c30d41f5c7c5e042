"""Decision 0009: the certificate of one point by how its bins are laid out, for distances of several kinds.

N = 1,500,000 rows in 10 classes, k = 10; as many near rows and bins for all. No time is measured.
"""

from __future__ import annotations

import sys

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.binning import bins
from dvspark.kernels.binning.bins import N_BINS, N_CELLS
from dvspark.kernels.formulas.knn_shapley import KnnShapley

N_TRAIN = 1_500_000
KINDS = ("normal, 256 features", "uniform", "a tenth at half the scale", "heavy tails")


def main() -> int:
    """Print one line a kind of distances: the certificate under each layout."""
    tails = bins.Tails.of(KnnShapley(10).rank_weights(N_TRAIN))
    n_near = bins.near_rows(N_TRAIN, 4_096, 1e-8)
    sample_rows = bins.sample_rows(N_TRAIN)
    print(f"{n_near:,} near rows, {N_BINS:,} bins; certificate with bins of equal width, by the root, in cells")
    for kind in KINDS:
        rng = np.random.default_rng(0)
        keys = _keys(kind, rng)
        matches = rng.random(N_TRAIN) < 0.1
        sample = np.sort(keys[sample_rows])
        low = sample[int(np.ceil(n_near / N_TRAIN * len(sample)))]
        share = np.clip((keys - low) / (sample[-1] - low), 0.0, 1.0)
        layouts = [1 + share * (N_BINS - 2), 1 + np.sqrt(share) * (N_BINS - 2), _in_cells(keys, sample, n_near)]
        bounds = [_certificate(np.where(keys <= low, 0, place).astype(np.int64), matches, tails) for place in layouts]
        print(f"{kind:>26}: " + "  ".join(f"{bound:.1e}" for bound in bounds))
    return 0


def _keys(kind: str, rng: np.random.Generator) -> np.ndarray:
    if kind == "uniform":
        return rng.random(N_TRAIN).astype(np.float32)
    if kind == "heavy tails":
        return (rng.standard_t(2, N_TRAIN) ** 2).astype(np.float32)
    keys = 2.0 * rng.chisquare(256, N_TRAIN)
    if kind != KINDS[0]:
        keys[: N_TRAIN // 10] /= 4.0
    return rng.permutation(keys).astype(np.float32)


def _in_cells(keys: np.ndarray, sample: np.ndarray, n_near: int) -> np.ndarray:
    found = bins.edges(sample[None], N_TRAIN, n_near, [lambda some: np.full(len(some), 1e-6)])[0]
    if found is None:
        raise RuntimeError("the sample must tell")
    place = np.minimum(np.sqrt(np.maximum((keys - found.origin) * found.per_unit, 0)), np.float32(N_CELLS))
    cell = place.astype(np.int64)
    return (place - cell) * found.lines[0, cell] + found.lines[1, cell]


def _certificate(bin_of: np.ndarray, matches: np.ndarray, tails: bins.Tails) -> float:
    counts = np.bincount(2 * bin_of + matches, minlength=bins.N_COUNTS).astype(np.int32)
    values, bounds = np.empty(2 * N_BINS), np.empty(2 * N_BINS)
    linked, near_doubt = np.zeros(N_BINS, np.bool_), np.zeros(2, np.int64)
    loops.value_bins(counts, linked, near_doubt, tails.suffix, tails.sums, tails.own, values, bounds)
    return float(bounds.max())


if __name__ == "__main__":
    sys.exit(main())
