"""Gap values: the values of one point's rows if few of them match, by a sort of the matches alone.

A gap is the rows between two matches in rank order, including the farther match. A row that does not match loses what
the matches beyond it take, and so do all such rows of its gap. So only the row's gap is needed, not its rank. The
number of rows in each gap gives the ranks of the matches.
Matches, and rows whose order with a match float32 keys leave in doubt, are put in exact order where that matters, as in
the sort of all rows.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from dvspark.kernels import loops
from dvspark.kernels.ranking import near_order, ranking
from dvspark.kernels.ranking.near_order import NearKeys
from dvspark.kernels.ranking.rank_weights import RankWeights
from dvspark.kernels.ranking.ranking import KeyedPoint, RankedRows, RankingOptions
from dvspark.kernels.workspace import Workspace
from dvspark.schemas import Float64s, Int32s, Partial, TrainArrays

# If a larger share of the rows match, the sort of all rows is as fast (docs/decisions/0018).
ROWS_PER_MATCH = 7
FEWEST_MATCHES = 2
# Fewer rows are sorted at once.
FEWEST_ROWS = 12_288

# Rows look for their gap from their place on, of which there are so many for each match, and more to a power of two.
# One more number of 16 bits is the place of all matches.
PLACES_PER_MATCH = 6
MOST_PLACES = 2**16 - 1

# A row's code, of 16 bits, says what the row is worth. Each gap has a code, and so have each match and the absent row.
MOST_CODES = 2**16

# So many points are added up together, two in each sweep over the sums.
POINTS_AT_ONCE = 8


class CodedPoints:
    """Points of a chunk whose rows have codes, which say what each row is worth, until they are added up.

    The values have the same bits as those of `row_values.value_rows`. They are added to ``partial`` in the order of the
    points.
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
        from dvspark.kernels.loops import compiled_gap_steps  # noqa: PLC0415 - an extra

        self._loops = compiled_gap_steps
        self._codes = workspace.array("gap_codes", (POINTS_AT_ONCE, n), np.uint16)
        n_codes = 2 * self._most_matches + 2
        self._tables = workspace.array("gap_tables", (POINTS_AT_ONCE, n_codes), np.float64)
        self._of_rank = workspace.array("gap_weights", (len(weights.own), 2), np.float64)
        self._of_rank[:, 0], self._of_rank[:, 1] = weights.own, weights.suffix

    def take(self, point: KeyedPoint, near: NearKeys) -> RankedRows | None:
        """Take a point, and return its k nearest rows in any order; None if the sort of all rows is faster.

        The sort is faster if many rows match or hardly any, if distances or lengths are very uneven, or if nothing is
        compiled.
        Cost: O(n + matches log matches + rows in doubt × n_features).
        """
        if self._most_matches < FEWEST_MATCHES:
            return None
        matching = self._matching_rows(point)
        if not FEWEST_MATCHES <= len(matching) <= self._most_matches:
            return None
        limits = near_order.doubt_limits(point.keys, point.absent, near) if point.limits is None else point.limits
        if len(limits) > 1:
            return None
        nearest = self._value(point, matching, limits, near)
        if nearest is None:
            return None
        self._waiting += 1
        if self._waiting == POINTS_AT_ONCE:
            self.add_up()
        return nearest

    def add_up(self) -> None:
        """Add the values of the points taken so far, and their squares, to the partial."""
        if self._waiting:
            points, sums = np.arange(self._waiting), (self._partial.value, self._partial.value_squared)
            # Every row has a code; none are listed as near.
            near = (np.empty((POINTS_AT_ONCE, 0), np.int32), np.empty((POINTS_AT_ONCE, 0)), np.zeros_like(points))
            loops.fastest().add_values(self._codes, points, self._tables, *near, MOST_CODES - 1, *sums)
            self._waiting = 0

    def _matching_rows(self, point: KeyedPoint) -> Int32s:
        """Return the rows that match, ascending. The list is made once for each label."""
        label = int(point.labels[0]) if len(point.labels) == 1 and point.absent is None else None
        if label in self._rows_of_label:
            return self._rows_of_label[label]
        rows = np.flatnonzero(ranking.matches_of(self._train, point)).astype(np.int32)
        if label is not None:
            self._rows_of_label[label] = rows
        return rows

    def _value(self, point: KeyedPoint, matching: Int32s, limits: Float64s, near: NearKeys) -> RankedRows | None:
        """Give rows their codes, and fill in what each is worth; return the k nearest rows in any order.

        None if rows take long to find their gap.
        """
        codes, of_code, room = self._codes[self._waiting], self._tables[self._waiting], self._room
        weights, n_matches = self._weights, len(matching)
        n_places = min(2 ** (PLACES_PER_MATCH * n_matches - 1).bit_length(), MOST_PLACES)
        of_method = (weights.suffix, weights.falls_from, *near_order.shares(self._options.tolerance))
        given = (point.keys, matching, n_places, limits, *of_method, codes, *room)
        n_packed, n_listed, largest, bound = self._loops.code_rows(*given)
        if n_packed < 0:
            return None
        # What is left of the room is the loops' own.
        matches, counts, packed, places, groups = room[1], room[4], room[7], room[10], room[11]
        listed = (n_listed, largest, bound)
        settled = near_order.put_in_order(packed, places, groups, listed, near, self._options.metric)
        n_settled = int(settled.places[-1]) + 1 if len(settled.places) else 0
        counts[n_matches] -= point.absent is not None  # its key is infinite
        # U(N) needs how many of the k nearest match, not which rows.
        n_nearest = min(self._options.k, len(weights.own))
        of_ranks = (self._of_rank, *weights.constants(n_matches), n_nearest)
        n_found = self._loops.value_rows(packed, n_settled, matches, n_matches, counts, *of_ranks, codes, of_code)
        if point.absent is not None:
            codes[point.absent], of_code[2 * n_matches + 1] = 2 * n_matches + 1, 0.0
        return RankedRows(np.empty(0, np.int64), np.arange(n_nearest) < n_found, None, bound=settled.bound)

    @functools.cached_property
    def _room(self) -> tuple[npt.NDArray[Any], ...]:
        """The scratch arrays of `compiled_gap_steps.code_rows`, from ``before`` on, for any point."""
        n, most, array = self._train.n_train, self._most_matches, self._workspace.array
        listed = array("doubtful", (2, n), np.int32)
        return (
            array("matches_before", (MOST_PLACES + 1,), np.uint16),
            array("matches", (most + 1,), np.uint64),
            array("spare", (n,), np.uint64),
            array("match_keys", (most + 2,), np.float32),
            array("gap_counts", (most + 2,), np.int32),
            array("gap_rows", (n + 1,), np.int32),
            listed.reshape(-1).view(np.uint64),  # done with before places and groups are listed
            array("packed", (n,), np.uint64),
            array("gap_starts", (n,), np.int32),
            array("sorted_keys", (n,), np.float32),
            listed[0],
            listed[1],
        )
