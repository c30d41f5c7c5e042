"""Values by task: one line for each task of the validation rows, and what each owner's rows sum to by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dvspark.schemas import Int64s

# Tasks and owners that the page shows; a table of more columns would not fit it.
MOST_TASKS, MOST_TASKS_BY_OWNER, MOST_OWNERS = 60, 8, 60


@dataclass(frozen=True)
class TaskLine:
    """One task: its validation rows and their weights together, and the values of all training rows by it."""

    task: Any
    n_validation: int
    weight: float
    total: float
    share_below_zero: float


@dataclass(frozen=True)
class OwnerLine:
    """What the rows of one owner sum to, by each of the tasks that are shown."""

    owner: Any
    totals: tuple[float, ...]


@dataclass(frozen=True)
class Tasks:
    """All tasks in order; ``owners`` in order of their sums over the tasks shown, the highest first."""

    lines: tuple[TaskLine, ...]
    n_hidden: int
    owners: tuple[OwnerLine, ...]
    n_owners_hidden: int

    @property
    def by_owner(self) -> tuple[TaskLine, ...]:
        """The tasks by which owners are told apart."""
        return self.lines[:MOST_TASKS_BY_OWNER]


def tasks_of(by_task: pa.Table, told: Sequence[Mapping[str, Any]]) -> Tasks:
    """Return what the report shows of a `BY_TASK` table; ``told``: the run record's entry of its tasks.

    Cost: O(rows of the table).
    """
    values, (codes, names) = by_task["value"].to_numpy(), _coded(by_task["task"])
    totals, sizes = np.bincount(codes, values, len(names)), np.bincount(codes, minlength=len(names))
    below, place = np.bincount(codes, values < 0, len(names)) / sizes, {name: code for code, name in enumerate(names)}
    there = [(one, place[one["task"]]) for one in told if one["task"] in place]
    lines = tuple(
        TaskLine(one["task"], one["n_validation"], one["weight"], float(totals[code]), float(below[code]))
        for one, code in there
    )
    shown = [code for _, code in there[:MOST_TASKS_BY_OWNER]]
    owners = _owners(by_task, codes, shown) if "owner" in by_task.column_names else ()
    n_hidden, n_owners_hidden = max(0, len(lines) - MOST_TASKS), max(0, len(owners) - MOST_OWNERS)
    return Tasks(lines[:MOST_TASKS], n_hidden, owners[:MOST_OWNERS], n_owners_hidden)


def _owners(by_task: pa.Table, codes: Int64s, shown: list[int]) -> tuple[OwnerLine, ...]:
    owner_codes, names = _coded(by_task["owner"])
    n_tasks = int(codes.max(initial=0)) + 1
    sums = np.bincount(owner_codes * n_tasks + codes, by_task["value"].to_numpy(), len(names) * n_tasks)
    of_shown = sums.reshape(len(names), n_tasks)[:, shown]
    order = np.argsort(-of_shown.sum(axis=1), kind="stable").tolist()
    return tuple(OwnerLine(names[code], tuple(of_shown[code].tolist())) for code in order)


def _coded(column: pa.ChunkedArray) -> tuple[Int64s, list[Any]]:
    """Return the code of each entry and what codes stand for; null has a code, too."""
    coded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    return coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_pylist()
