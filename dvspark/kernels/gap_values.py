"""Gap values: what one point's rows are worth where few of them match, by a sort of the matches alone.

A gap is what lies between two matches in rank order, the match at its end included. A row that does not match loses
what the matches beyond it take, as all such rows of its gap do: it has to find its gap, not its rank. How many rows are
in each gap tells the ranks of the matches. Near rows are sorted, as ever.
"""

from __future__ import annotations

import numpy as np

from dvspark.kernels import loops, ranking
from dvspark.kernels.near_order import NearKeys
from dvspark.kernels.rank_values import RankWeights
from dvspark.kernels.ranking import KeyedPoint, RankedRows, RankingOptions
from dvspark.kernels.row_values import value_near
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Float64s, Floats, Int32s, Partial, TrainArrays, UInt16s, UInt64s

# Where more of the rows match, or more of them are near, the sort of all is as fast (docs/decisions/0018).
ROWS_PER_MATCH = 7
FEWEST_MATCHES = 2
ROWS_PER_NEAR = 3

# Rows look for their gap from their place on, of which there are so many for each match, and more to a power of two.
PLACES_PER_MATCH = 6
MOST_PLACES = 2**16

# A row's code, of 16 bits, tells what it is worth: each gap, match and near row has one, and the absent row.
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
        n, self._n_near = train.n_train, ranking.exact_rows(options.k)
        self._train, self._weights, self._options, self._partial = train, weights, options, partial
        self._workspace, self._rows_of_label, self._waiting = workspace, dict[int | None, Int32s](), 0
        self._most_matches = min(n // ROWS_PER_MATCH, (MOST_CODES - self._n_near) // 2 - 1)
        is_compiled = loops.name(loops.fastest()) == "numba"
        if not is_compiled or options.ties != "id" or n < ROWS_PER_NEAR * self._n_near:
            self._most_matches = 0
        if self._most_matches < FEWEST_MATCHES:
            return
        from dvspark.kernels import compiled_gaps  # noqa: PLC0415 - an extra

        self._loops = compiled_gaps
        self._codes = workspace.array("gap_codes", (POINTS_AT_ONCE, n), np.uint16)
        n_codes = 2 * self._most_matches + self._n_near + 2
        self._tables = workspace.array("gap_tables", (POINTS_AT_ONCE, n_codes), np.float64)
        self._of_rank = workspace.array("gap_weights", (len(weights.own), 2), np.float64)
        self._of_rank[:, 0], self._of_rank[:, 1] = weights.own, weights.suffix

    def take(self, point: KeyedPoint, near: NearKeys) -> RankedRows | None:
        """Take a point, and return its nearest rows in rank order; None where the sort of all rows serves it better.

        That is where many rows match, or hardly any, or distances are very uneven, or nothing is compiled.
        O(n + matches log matches + near rows log near rows).
        """
        if self._most_matches < FEWEST_MATCHES:
            return None
        matching = self._matching_rows(point)
        if not FEWEST_MATCHES <= len(matching) <= self._most_matches:
            return None
        codes, of_code = self._codes[self._waiting], self._tables[self._waiting]
        packed = self._find_gaps(point.keys, matching, codes)
        if packed is None:
            return None
        nearest = self._value(point, packed, near, codes, of_code)
        self._waiting += 1
        if self._waiting == POINTS_AT_ONCE:
            self.add_up()
        return nearest

    def add_up(self) -> None:
        """Add the values of the points that were taken, and their squares, to the partial."""
        if self._waiting:
            points, sums = np.arange(self._waiting), (self._partial.value, self._partial.value_squared)
            # Near rows have codes, too; none are listed.
            near = (np.empty((POINTS_AT_ONCE, 0), np.int32), np.empty((POINTS_AT_ONCE, 0)), np.zeros_like(points))
            loops.fastest().add_values(self._codes, points, self._tables, *near, *sums)
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

    def _find_gaps(self, keys: Floats, matching: Int32s, gaps: UInt16s) -> UInt64s | None:
        """Fill ``gaps`` with how many matches come before each row; return these, packed, or None where it is slow.

        They are in order, and one that comes after all rows is behind them.
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
        return packed if self._loops.find_gaps(keys, before, packed, gaps) else None

    def _sort(self, packed: UInt64s) -> None:
        loops.fastest().sort_packed(packed, self._workspace.array("spare", packed.shape, np.uint64))

    def _value(
        self, point: KeyedPoint, packed: UInt64s, near: NearKeys, codes: UInt16s, of_code: Float64s
    ) -> RankedRows:
        """Replace gaps by codes, and fill in what each code is worth; return the nearest rows in rank order."""
        n_near, weights, n_matches = self._n_near, self._weights, len(packed) - 1
        # The first codes of matches and of near rows, and that of the row that is absent.
        of_matches, of_near = n_matches + 1, 2 * n_matches + 1
        of_absent = of_near + n_near
        counts = self._workspace.array("gap_counts", (of_matches,), np.int32)
        self._loops.count_gaps(codes, counts)
        counts[-1] -= point.absent is not None  # its key is infinite
        constants = weights.constants(n_matches)
        last_gap, beyond = self._loops.value_gaps(
            counts, n_near, self._of_rank, *constants, of_code[:of_matches], of_code[of_matches:of_near]
        )
        # Near rows, and those in the gap of the last one.
        listed = self._workspace.array("gap_rows", (len(codes) + 1,), np.int32)
        listed = listed[: self._loops.list_up_to(codes, last_gap, listed)]
        sorted_near = self._workspace.array("packed", (len(listed),), np.uint64)
        self._loops.pack_listed(point.keys, listed, codes, packed, sorted_near)
        self._sort(sorted_near)
        self._loops.number_packed(packed[:-1], of_matches, codes)
        worth = of_code[of_near:of_absent]
        nearest = value_near(near, n_near, weights, constants, beyond, self._options, self._workspace, worth)
        self._loops.number(nearest.rows, of_near, codes)
        if point.absent is not None:
            codes[point.absent], of_code[of_absent] = of_absent, 0.0
        return nearest
