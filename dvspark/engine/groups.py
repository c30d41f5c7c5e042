"""Groups: validation rows of one task, weight and label have chunks of their own, so that sums can tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pyarrow as pa

from dvspark.engine.chunks import count_chunks
from dvspark.schemas import Int32s, Int64s

# By which columns rows are told apart; groups are in ascending order of these.
TASK, WEIGHT, LABEL = "task", "weight", "label"
GROUP_COLUMNS = (TASK, WEIGHT, LABEL)


@dataclass(frozen=True)
class Group:
    """Validation rows that are alike: ``n_rows`` rows, in the ``n_chunks`` chunks from ``first_chunk`` on.

    ``weight`` is above 0, and 1 where rows have none. ``task`` and ``label`` are None where they do not matter.
    """

    n_rows: int
    first_chunk: int
    n_chunks: int
    weight: float = 1.0
    task: str | int | None = None
    label: str | int | None = None


@dataclass(frozen=True)
class Groups:
    """All groups in ascending order of task, weight and label; ``columns`` are those by which rows are told apart."""

    columns: tuple[str, ...]
    members: tuple[Group, ...]

    @classmethod
    def of(cls, counted: pa.Table, chunk_rows: int) -> Groups:
        """Return the groups of rows, from how many there are (``n_rows``) with each content of some `GROUP_COLUMNS`.

        Rows of weight 0 are in no group.
        """
        names = tuple(name for name in GROUP_COLUMNS if name in counted.column_names)
        lines = [line for line in counted.to_pylist() if line.get(WEIGHT, 1.0) > 0]
        members, first = list[Group](), 0
        for line in sorted(lines, key=lambda line: tuple(line[name] for name in names)):
            n_chunks = count_chunks(line["n_rows"], chunk_rows)
            members.append(Group(line["n_rows"], first, n_chunks, **{name: line[name] for name in names}))
            first += n_chunks
        return cls(names, tuple(members))

    @property
    def n_rows(self) -> int:
        """Number of validation rows in all groups."""
        return sum(group.n_rows for group in self.members)

    @property
    def n_chunks(self) -> int:
        """Number of chunks of all groups; some may be empty."""
        return sum(group.n_chunks for group in self.members)

    @property
    def largest_weight(self) -> float:
        """The largest weight of a row."""
        return max(group.weight for group in self.members)

    def largest_weights(self) -> dict[str | int | None, float]:
        """Return the largest weight of a row of each task, in order."""
        by_task = groupby(self.members, key=lambda group: group.task)
        return {task: max(group.weight for group in of_task) for task, of_task in by_task}

    def n_rows_of_tasks(self) -> dict[str | int | None, int]:
        """Return the number of validation rows of each task, in order."""
        by_task = groupby(self.members, key=lambda group: group.task)
        return {task: sum(group.n_rows for group in of_task) for task, of_task in by_task}

    def table(self, kinds: Sequence[pa.DataType]) -> pa.Table:
        """Return the ``columns`` of each group, of these types, with ``first_chunk`` and ``n_chunks``."""
        arrays = [
            pa.array([getattr(group, name) for group in self.members], kind)
            for name, kind in zip(self.columns, kinds, strict=True)
        ]
        firsts, numbers = ([getattr(one, name) for one in self.members] for name in ("first_chunk", "n_chunks"))
        return pa.table([*arrays, pa.array(firsts), pa.array(numbers)], [*self.columns, "first_chunk", "n_chunks"])

    def chunk_ids(self, rows: pa.Table, hashes: Int64s) -> Int32s:
        """Return the chunk of each row, (n,) int32, by the hash of its id; -1 for rows of no group."""
        numbers = {tuple(getattr(one, name) for name in self.columns): n for n, one in enumerate(self.members)}
        contents = zip(*(rows[name].to_pylist() for name in self.columns), strict=True)
        found = np.array([numbers.get(content, -1) for content in contents], np.int64)
        firsts, sizes = (np.array([getattr(one, name) for one in self.members]) for name in ("first_chunk", "n_chunks"))
        return np.where(found < 0, -1, firsts[found] + np.mod(hashes, sizes[found])).astype(np.int32)

    def ends(self, chunk_ids: Sequence[int]) -> list[int]:
        """Return for each group the place after its last one of these chunks, ascending ones with all that have rows.

        The hash leaves some chunks empty, but no group: each has a row.
        """
        lasts = [group.first_chunk + group.n_chunks for group in self.members]
        return np.searchsorted(np.asarray(chunk_ids, np.int64), lasts).tolist()
