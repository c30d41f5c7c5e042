"""Group totals: waves are added up group by group, and groups by their weights: all together, and by task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dvspark.engine.groups import LABEL, Group, Groups
from dvspark.methods.options import ValueOptions
from dvspark.methods.point_weights import WeightedSum
from dvspark.schemas import Float64s, Int64s, Partial, Wave
from dvspark.schemas.pairwise import Pairwise


@dataclass(frozen=True)
class TaskTotals:
    """Totals over the validation rows of one ``task``; ``weight``: the sum of their weights, as given."""

    task: str | int
    weight: float
    totals: Partial


@dataclass(frozen=True)
class GroupedTotals:
    """Totals over all validation rows, and what groups tell besides.

    ``by_task``: in order of the tasks; empty without tasks. ``own_class`` (n_train,) float64: the part of the totals'
    values that comes from validation rows of the row's own label; None if it was not asked for.
    """

    totals: Partial
    by_task: tuple[TaskTotals, ...] = ()
    own_class: Float64s | None = None


class GroupTotals:
    """The sum of waves that come in order of their places.

    Without groups all chunks are one, whose sum is the result as it is. Memory: log2 partials of a group; with groups
    48 bytes a value, 16 more for each task, 16 more for own labels.
    """

    def __init__(
        self,
        chunk_ids: Sequence[int],
        groups: Groups | None,
        n_values: int,
        options: ValueOptions,
        labels: Callable[[], pa.ChunkedArray],
    ) -> None:
        """Begin; ``chunk_ids``: those with rows, ascending. ``labels`` gives the labels of the training rows."""
        self.ends = [len(chunk_ids)] if groups is None else groups.ends(chunk_ids)
        self.n_places = 0
        self._groups, self._n_values, self._row_bounds = groups, n_values, options.row_bounds
        self._in_mean = options.aggregate == "mean"
        # A task's weights are in units of its largest one: as shares of the largest of all, such as that of the newest
        # of many months, their squares may be too small for float64.
        self._units = {} if groups is None else groups.largest_weights()
        self._number, self._group = 0, Pairwise()
        self._sum, self._of_task, self._by_task = self._nothing(), self._nothing(), list[TaskTotals]()
        self._rows = _rows_by_label(labels()) if groups is not None and LABEL in groups.columns else None
        self._own_class = np.zeros(n_values if self._rows is not None else 0)

    def add(self, wave: Wave) -> int:
        """Add a wave, whose totals then belong to this object; return its number of chunks."""
        n_places = len(wave.chunk_rows)
        self._group.add(wave.totals, n_places)
        self.n_places += n_places
        if self._groups is not None and self.n_places == self.ends[self._number]:
            self._end_group(self._groups)
        return n_places

    def result(self) -> GroupedTotals:
        """Return the totals. Nothing may be added afterward."""
        if self._groups is None:
            return GroupedTotals(self._group.total() or Partial.zeros(self._n_values, row_bounds=self._row_bounds))
        unit = None if self._in_mean else self._groups.largest_weight
        own = None if self._rows is None else self._own_class * self._sum.scale(unit)
        return GroupedTotals(self._sum.partial(unit), tuple(self._by_task), own)

    def _nothing(self) -> WeightedSum:
        return WeightedSum(self._n_values if self._groups is not None else 0, row_bounds=self._row_bounds)

    def _end_group(self, groups: Groups) -> None:
        group, totals = groups.members[self._number], self._group.total()
        self._number, self._group = self._number + 1, Pairwise()
        assert totals is not None  # noqa: S101 - a group has chunks
        self._of_task.add(group.weight / self._units[group.task], totals)
        if self._rows is not None:
            rows = self._rows.get(group.label, np.empty(0, np.int64))
            self._own_class[rows] += group.weight / groups.largest_weight * totals.value[rows]
        if self._number == len(groups.members) or groups.members[self._number].task != group.task:
            self._end_task(group, groups.largest_weight)

    def _end_task(self, last: Group, largest_weight: float) -> None:
        unit = self._units[last.task]
        if last.task is not None:
            found = self._of_task.partial(None if self._in_mean else unit)
            self._by_task.append(TaskTotals(last.task, self._of_task.weight * unit, found))
        self._sum.plus(self._of_task, unit / largest_weight)
        self._of_task = self._nothing()


def _rows_by_label(labels: pa.ChunkedArray) -> dict[str | int | None, Int64s]:
    """Return for each label the training rows that have it, ascending."""
    coded = labels.combine_chunks().dictionary_encode()
    codes = coded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(coded.dictionary)))
    return dict(zip(coded.dictionary.to_pylist(), np.split(order, ends[:-1]), strict=True))
