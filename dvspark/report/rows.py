"""The listed rows: those with the lowest and the highest values, with their nearest validation points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.report.labels import label_set

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

N_LISTED = 25


@dataclass(frozen=True)
class Neighbor:
    """A validation point near a listed row; ``differs`` is True if the two share no label."""

    validation_id: Hashable
    label: Any
    distance: float | None
    differs: bool


@dataclass(frozen=True)
class RowLine:
    """One training row as listed; ``standard_error`` is None if it is not known."""

    rank: int
    train_id: Hashable
    label: Any
    owner: Any
    value: float
    standard_error: float | None
    neighbors: tuple[Neighbor, ...]


def listed_rows(values: pa.Table, neighbors: pa.Table) -> tuple[tuple[RowLine, ...], tuple[RowLine, ...]]:
    """Return the 25 lowest rows, lowest first, and the 25 highest, highest first.

    ``values`` and ``neighbors`` as for ``summarize``. Cost: O(n log n).
    """
    lowest, highest = listed_positions(values)
    near = neighbors_by_row(neighbors, values["id"].take(pa.array(np.concatenate([lowest, highest]))).to_pylist())
    return _lines(values, lowest, near), _lines(values, highest, near)


def listed_positions(values: pa.Table) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the positions of the 25 lowest rows, lowest first, and of the 25 highest, highest first. Cost: O(n)."""
    return lowest_positions(values, N_LISTED), _largest(-values["rank"].to_numpy(), N_LISTED)


def lowest_positions(values: pa.Table, n: int) -> np.ndarray[Any, Any]:
    """Return the positions of the ``n`` rows with the lowest values, or of all, lowest first. Cost: O(rows)."""
    return _largest(values["rank"].to_numpy(), n)


def _largest(numbers: np.ndarray[Any, Any], n: int) -> np.ndarray[Any, Any]:
    """Return the positions of the ``n`` largest of distinct numbers, or of all, the largest first."""
    first = max(0, len(numbers) - n)
    found = np.argpartition(numbers, first)[first:]
    return found[np.argsort(-numbers[found])]


def neighbors_by_row(neighbors: pa.Table, ids: list[Hashable]) -> dict[Hashable, list[dict[str, Any]]]:
    """Return the lines of some rows in a table of neighbors, nearest first."""
    near: dict[Hashable, list[dict[str, Any]]] = {}
    if not neighbors.num_rows:
        return near
    wanted = pc.is_in(neighbors["train_id"], value_set=pa.array(ids, neighbors["train_id"].type))
    for line in neighbors.filter(wanted).to_pylist():
        near.setdefault(line["train_id"], []).append(line)
    for lines in near.values():
        lines.sort(key=lambda line: line["position"])
    return near


def _lines(
    values: pa.Table, positions: np.ndarray[Any, Any], near: Mapping[Hashable, list[dict[str, Any]]]
) -> tuple[RowLine, ...]:
    picked = values.take(pa.array(positions)).to_pylist()
    return tuple(_line(row, near.get(row["id"], [])) for row in picked)


def _line(row: Mapping[str, Any], near: list[dict[str, Any]]) -> RowLine:
    label = row.get("label")
    value = row["value"]
    return RowLine(
        rank=row["rank"],
        train_id=row["id"],
        label=label,
        owner=row.get("owner"),
        value=float("nan") if value is None else value,
        standard_error=_known(row.get("standard_error")),
        neighbors=tuple(
            Neighbor(
                validation_id=line["validation_id"],
                label=line["validation_label"],
                distance=_known(line.get("distance")),
                differs=differs(label, line["validation_label"]),
            )
            for line in near
        ),
    )


def differs(label: Any, other: Any) -> bool:
    """Return whether a row and a validation row share no label."""
    # Targets of a regression all differ, so a mark would say nothing.
    if isinstance(label, float):
        return False
    return label_set(label).isdisjoint(label_set(other))


def _known(number: float | None) -> float | None:
    return None if number is None or np.isnan(number) else float(number)
