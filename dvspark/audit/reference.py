"""The reference: a few points valued in float64 by plain code that shares no path with the kernels.

Distances come from differences, then a sort, then the method's second formula. Three things are shared with the
kernels, and tests compare them with enumeration: which cosine keys count as equal, what replaces keys whose squares
vanish, and the formula of ties="average".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import scipy

from dvspark.kernels.blocks.merged import BlockPart, MergedPoint
from dvspark.kernels.distances.distances import settle_ties
from dvspark.kernels.distances.small_keys import replace_small
from dvspark.kernels.formulas.kinds import Parameters
from dvspark.kernels.ranking.ordered import in_order
from dvspark.kernels.ranking.ranking import RankedRows
from dvspark.methods.base import PointMethod
from dvspark.methods.options import ValueOptions
from dvspark.schemas import Bools, ChunkArrays, Float64s, Floats, Int64s, Partial, TrainArrays, TrainColumns

# So many points are drawn, by a hash of their ids.
SAMPLE_POINTS = 8

# Rows are compared with all points while they lie in a cache as float64: 3 million rows of 64 features and 4 points
# take 0.21 s of CPU in slices of this size, 0.26 s in slices of 2**19. Point by point in slices of 256 MiB it would be
# ten times as long, most of it in page faults.
SLICE_BYTES = 2**21


def reference_points(train: TrainArrays, chunk: ChunkArrays, options: ValueOptions) -> Iterator[MergedPoint]:
    """Yield the points of a chunk with their distances to all rows, 8 N bytes each, which are freed one by one.

    Cost: O(N D) a point; most of it is one pass over the rows, whatever the number of points.
    """
    absent = [None] * chunk.n_validation if chunk.train_rows is None else chunk.train_rows.tolist()
    targets = [0.0] * chunk.n_validation if chunk.targets is None else chunk.targets.tolist()
    counts = [None] * chunk.n_validation if chunk.counts is None else chunk.counts
    parts = reference_parts(train, chunk, options.metric)
    for part, row, target, noisy in zip(parts, absent, targets, counts, strict=True):
        yield MergedPoint(part.keys, part.matches, absent=row, target=target, counts=noisy)


def reference_parts(train: TrainArrays, chunk: ChunkArrays, metric: str) -> Iterator[BlockPart]:
    """Yield for each point the distances to some train rows, before `settle_ties`, and the matches."""
    for distances, codes in zip(_distances(train.x, chunk.x, metric), chunk.labels, strict=True):
        yield BlockPart(distances, _matches(train, codes))


def merged_reference_partial(
    points: Iterable[MergedPoint],
    columns: TrainColumns,
    n_train: int,
    options: ValueOptions,
    parameters: Parameters,
) -> Partial:
    """Return the reference's partial of points that have their distances to all train rows.

    Cost: O(N log N) a point, interpreted. Memory: 50 N bytes.
    """
    method = PointMethod[Parameters].of(options.declaration)
    partial = Partial.zeros(method.n_values(n_train, columns.n_owners))
    for point in points:
        distance = settle_ties(np.asarray(point.keys, np.float64), options.metric)
        order, keys = _ordered(distance)
        if point.absent is not None:
            kept = order != point.absent
            order, keys = order[kept], keys[kept]
        matches = point.matches[order]
        size = 0.0
        if len(order):
            starts = np.r_[True, np.diff(keys) != 0] if options.ties == "average" else None
            ranked = RankedRows(order, matches, starts, keys)
            seen = in_order(ranked, columns, options.metric, point.target, columns.weights, point.counts)
            values, size = method.reference_values(seen, parameters), method.size(seen, parameters)
            if method.players == "owners":
                partial.value += values
            else:
                of_row = np.zeros(n_train)
                of_row[order] = values
                partial.value += of_row  # in one go: sums in places here and there take four times as long
        partial.count(0.0, 0.0, size=size)
    return partial


def _ordered(distance: Float64s) -> tuple[Int64s, Float64s]:
    """Return the rows by (distance, train row), and their distances.

    NumPy sorts numbers five times as fast as places of numbers. So each distance becomes a whole number, and takes its
    row along in the low bits. Rows whose numbers are equal are then put in order by their distances.
    """
    n_bits = len(distance).bit_length()
    least, most = distance.min(initial=np.inf), distance.max(initial=-np.inf)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        scale = 2.0 ** (62 - n_bits) / (most - least)
    if not 0.0 < scale < np.inf:  # distances that are infinite, or all alike
        order = np.argsort(distance, kind="stable")
        return order, distance[order]
    packed = ((distance - least) * scale).astype(np.int64)
    packed <<= n_bits
    packed |= np.arange(len(distance))
    packed.sort()
    order = packed & (2**n_bits - 1)
    packed >>= n_bits
    alike = np.append(packed[1:] == packed[:-1], False)
    alike[1:] |= alike[:-1]
    rows = order[alike]
    keys = distance[rows]
    if (keys[1:] < keys[:-1]).any():
        order[alike] = rows[np.argsort(keys, kind="stable")]
    return order, distance[order]


def _distances(x: Floats, z: Floats, metric: str) -> Iterator[Float64s]:
    """Yield the distances of rows ``x`` (n, n_features) to each of the points ``z``, (n,), which are then freed."""
    points = np.asarray(z, np.float64)
    if metric == "cosine":
        points = points / np.linalg.norm(points, axis=1)[:, None]
    distances = [np.empty(len(x)) for _ in points]
    step = max(1, SLICE_BYTES // (8 * x.shape[1]))
    for start in range(0, len(x), step):
        rows = np.asarray(x[start : start + step], np.float64)
        if metric == "inner_product":  # a matrix product might round equal rows differently
            found = -np.einsum("ij,kj->ki", rows, points)
        elif metric == "cosine":
            rows = rows / np.linalg.norm(rows, axis=1)[:, None]
            found = scipy.spatial.distance.cdist(points, rows, "sqeuclidean") / 2
        else:
            found = scipy.spatial.distance.cdist(points, rows, "sqeuclidean")
        here = np.arange(start, start + len(rows))
        for of_point, of_slice, point in zip(distances, found, points, strict=True):
            if metric != "cosine":
                replace_small(of_slice, x, here, point, metric)
            of_point[start : start + step] = of_slice
    while distances:
        yield distances.pop(0)


def _matches(train: TrainArrays, codes: np.ndarray[tuple[int], np.dtype[np.int32]]) -> Bools:
    if train.labels.codes is not None:
        return train.labels.codes == codes[0] if len(codes) == 1 else np.isin(train.labels.codes, codes)
    flags = np.zeros(train.n_train, np.bool_)
    offsets, postings = train.labels.offsets, train.labels.postings
    if offsets is not None and postings is not None:
        for code in codes:
            flags[postings[offsets[code] : offsets[code + 1]]] = True
    return flags
