"""Gap values: what one point's rows are worth where few of them match, by a sort of the matches alone.

A gap is what lies between two matches in rank order, the match at its end included. A row that does not match loses
what the matches beyond it take, as all such rows of its gap do: it has to find its gap, not its rank. How many rows are
in each gap tells the ranks of the matches. Matches, and the rows that float32 keys leave in doubt with one, are put in
exact order where that matters, as in the sort of all rows.
"""

from __future__ import annotations

import numpy as np

from dvspark.kernels import loops
from dvspark.kernels.ranking import near_order, ranking
from dvspark.kernels.ranking.near_order import NearKeys
from dvspark.kernels.ranking.rank_values import RankWeights
from dvspark.kernels.ranking.ranking import KeyedPoint, RankedRows, RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Float64s, Floats, Int32s, Partial, TrainArrays, UInt16s, UInt64s

# Where more of the rows match the sort of all is as fast (docs/decisions/0018).
ROWS_PER_MATCH = 7
FEWEST_MATCHES = 2
# Fewer rows are sorted in no time.
FEWEST_ROWS = 12_288

# Rows look for their gap from their place on, of which there are so many for each match, and more to a power of two.
PLACES_PER_MATCH = 6
MOST_PLACES = 2**16

# A row's code, of 16 bits, tells what it is worth: each gap and each match has one, and the absent row.
MOST_CODES = 2**16

# As no row is packed: behind the last match, so that a row's search ends there.
AFTER_ALL_ROWS = np.uint64(2**64 - 1)

# So many points are added up together, two in each sweep over the sums.
POINTS_AT_ONCE = 8


class CodedPoints:
    """Points of a chunk whose rows have a code each, which tells what they are worth, until they are added up.

    Values are those of `row_values.value_rows`, bit for bit, and are added to ``partial`` in the points' order.
    Memory: 101 n bytes, of which 4 n list the rows of each label.
    """

    def __init__(
        self, train: TrainArrays, weights: RankWeights, options: RankingOptions, partial: Partial, workspace: Workspace
    ) -> None:
        n = train.n_train
        self._train, self._weights, self._options, self._partial = train, weights, options, partial
        self._workspace, self._rows_of_label, self._waiting = workspace, dict[int | None, Int32s](), 0
        self._most_matches = min(n // ROWS_PER_MATCH, MOST_CODES // 2 - 2)
        is_compiled = loops.name(loops.fastest()) == "numba"
        if not is_compiled or options.ties != "id" or n < FEWEST_ROWS:
            self._most_matches = 0
        if self._most_matches < FEWEST_MATCHES:
            return
        from dvspark.kernels.loops import compiled_gaps  # noqa: PLC0415 - an extra

        self._loops = compiled_gaps
        self._codes = workspace.array("gap_codes", (POINTS_AT_ONCE, n), np.uint16)
        n_codes = 2 * self._most_matches + 2
        self._tables = workspace.array("gap_tables", (POINTS_AT_ONCE, n_codes), np.float64)
        self._of_rank = workspace.array("gap_weights", (len(weights.own), 2), np.float64)
        self._of_rank[:, 0], self._of_rank[:, 1] = weights.own, weights.suffix

    def take(self, point: KeyedPoint, near: NearKeys) -> RankedRows | None:
        """Take a point, and return its k nearest rows, in any order; None where the sort of all rows serves it better.

        That is where many rows match, or hardly any, or distances or lengths are very uneven, or nothing is compiled.
        O(n + matches log matches + rows in doubt × n_features).
        """
        if self._most_matches < FEWEST_MATCHES:
            return None
        matching = self._matching_rows(point)
        if not FEWEST_MATCHES <= len(matching) <= self._most_matches:
            return None
        limits = near_order.doubt_limits(point.keys, point.absent, near)
        if len(limits) > 1:
            return None
        codes, of_code = self._codes[self._waiting], self._tables[self._waiting]
        found = self._find_gaps(point.keys, matching, float(limits[0]), codes)
        if found is None:
            return None
        nearest = self._value(point, *found, limits, near, codes, of_code)
        self._waiting += 1
        if self._waiting == POINTS_AT_ONCE:
            self.add_up()
        return nearest

    def add_up(self) -> None:
        """Add the values of the points that were taken, and their squares, to the partial."""
        if self._waiting:
            points, sums = np.arange(self._waiting), (self._partial.value, self._partial.value_squared)
            # Every row has a code; none are listed as near.
            near = (np.empty((POINTS_AT_ONCE, 0), np.int32), np.empty((POINTS_AT_ONCE, 0)), np.zeros_like(points))
            loops.fastest().add_values(self._codes, points, self._tables, *near, MOST_CODES - 1, *sums)
            self._waiting = 0

    def _matching_rows(self, point: KeyedPoint) -> Int32s:
        """Return the rows that match, ascending; listed once a label."""
        label = int(point.labels[0]) if len(point.labels) == 1 and point.absent is None else None
        if label in self._rows_of_label:
            return self._rows_of_label[label]
        rows = np.flatnonzero(ranking.matches_of(self._train, point)).astype(np.int32)
        if label is not None:
            self._rows_of_label[label] = rows
        return rows

    def _find_gaps(self, keys: Floats, matching: Int32s, limit: float, gaps: UInt16s) -> tuple[UInt64s, Int32s] | None:
        """Fill ``gaps`` with how many matches come before each row; return these, and the rows in doubt with one.

        Matches are packed, in order, and one that comes after all rows is behind them. None where it is slow.
        """
        n_matches = len(matching)
        n_places = min(2 ** (PLACES_PER_MATCH * n_matches - 1).bit_length(), MOST_PLACES)
        self._loops.place_rows(keys, matching, n_places, gaps)
        before = self._workspace.array("matches_before", (n_places,), np.uint16)
        self._loops.count_before(matching, gaps, before)
        packed = self._workspace.array("packed_matches", (n_matches + 1,), np.uint64)
        self._loops.pack_matches(keys, matching, packed)
        packed[-1] = AFTER_ALL_ROWS
        self._sort(packed[:n_matches])
        ends = self._workspace.array("match_keys", (n_matches + 2,), np.float32)
        doubtful = self._workspace.array("gap_rows", (len(keys) + 1,), np.int32)
        n_doubtful = self._loops.find_gaps(keys, before, packed, limit, ends, gaps, doubtful)
        return None if n_doubtful < 0 else (packed, doubtful[:n_doubtful])

    def _sort(self, packed: UInt64s) -> None:
        loops.fastest().sort_packed(packed, self._workspace.array("spare", packed.shape, np.uint64))

    def _value(
        self,
        point: KeyedPoint,
        matches: UInt64s,
        doubtful: Int32s,
        limits: Float64s,
        near: NearKeys,
        codes: UInt16s,
        of_code: Float64s,
    ) -> RankedRows:
        """Replace gaps by codes, and fill in what each code is worth; return the k nearest rows, in any order."""
        weights, n_matches = self._weights, len(matches) - 1
        counts = self._workspace.array("gap_counts", (n_matches + 1,), np.int32)
        self._loops.count_gaps(codes, counts)
        counts[-1] -= point.absent is not None  # its key is infinite
        bound = self._settle(point.keys, matches, doubtful, limits, near, counts, codes)
        of_matches = n_matches + 1
        self._loops.value_gaps(
            counts, self._of_rank, *weights.constants(n_matches), of_code[:of_matches], of_code[of_matches:]
        )
        self._loops.number_packed(matches[:-1], of_matches, codes)
        if point.absent is not None:
            codes[point.absent], of_code[of_matches + n_matches] = of_matches + n_matches, 0.0
        # U(N) asks how many of the k nearest match, not which rows they are; before the k-th match there are k rows.
        n_nearest = min(self._options.k, len(weights.own))
        found = np.zeros(n_nearest, np.bool_)
        ranks = np.cumsum(counts[: min(n_matches, n_nearest)]) - 1
        found[ranks[ranks < n_nearest]] = True
        return RankedRows(np.empty(0, np.int64), found, None, bound=bound)

    def _settle(
        self,
        keys: Floats,
        matches: UInt64s,
        doubtful: Int32s,
        limits: Float64s,
        near: NearKeys,
        counts: Int32s,
        gaps: UInt16s,
    ) -> float:
        """Put matches, and rows in doubt with one, in exact order where that matters.

        Returns what the order of others may change.
        """
        others = self._workspace.array("packed_doubtful", doubtful.shape, np.uint64)
        self._loops.pack_rows(keys, doubtful, others)
        self._sort(others)
        packed = self._workspace.array("packed_merged", (len(matches) - 1 + len(others),), np.uint64)
        ranks = self._workspace.array("merged_ranks", packed.shape, np.int32)
        self._loops.merge_doubtful(matches, others, counts, packed, ranks)
        given = (packed, near, limits, self._options.metric, self._workspace)
        allowed = self._options.tolerance
        settled = near_order.settle(*given, weights=self._weights, allowed=allowed, ranks=ranks)
        if len(settled.places):
            self._loops.place_settled(packed, matches, counts, gaps)
        return settled.bound
