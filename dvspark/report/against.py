"""Against: what changed between another run and this one: rows that rose, fell, appeared or are gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.errors import ConfigError, Problem
from dvspark.report.labels import label_set
from dvspark.report.text import clip

N_MOVED = 15


@dataclass(frozen=True)
class Moved:
    """A row in both runs: where it stands among the rows that both have, from 0 (lowest value) to 1, before and now."""

    train_id: Any
    label: Any
    before: float
    now: float
    is_relabeled: bool


@dataclass(frozen=True)
class Comparison:
    """Two runs: the other's id and method, rows in both, only now and only before, and the rows that moved most.

    ``correlation``: Spearman's rank correlation of the values of rows in both; None for fewer than two rows, or where
    all values of a run are equal. ``settings``: name, before, now, where they differ.
    """

    run_id: str
    method: str
    n_both: int
    n_appeared: int
    n_gone: int
    n_relabeled: int
    correlation: float | None
    rose: tuple[Moved, ...]
    fell: tuple[Moved, ...]
    settings: tuple[tuple[str, str, str], ...]


def compared(values: pa.Table, run: dict[str, Any], other: pa.Table, other_run: dict[str, Any]) -> Comparison:
    """Return what changed from the other run to this one. Rows are told apart by id.

    Values of two runs need not have one scale, so rows are compared by where they stand, not by value.
    ``values``, ``other``: tables with id, value, maybe label. Cost: O(n log n).
    Raises: ConfigError where ids are numbers in one run and texts in the other.
    """
    kinds = [table["id"].type for table in (values, other)]
    if pa.types.is_integer(kinds[0]) != pa.types.is_integer(kinds[1]):
        expected, got = f"a run whose ids are of type {kinds[0]}, as in this run", str(kinds[1])
        raise ConfigError(Problem("--against", expected, got, "compare runs of tables with the same ids"))
    found = pc.index_in(values["id"], value_set=other["id"].cast(values["id"].type).combine_chunks())
    here = np.flatnonzero(pc.is_valid(found).to_numpy(zero_copy_only=False))
    there = found.drop_null().to_numpy().astype(np.int64)
    now, before = values.take(pa.array(here)), other.take(pa.array(there))
    stand_now, stand_before = _standing(now["value"]), _standing(before["value"])
    relabeled = np.array(_relabeled(now, before), bool) if len(here) else np.zeros(0, bool)
    order = np.argsort(stand_now - stand_before, kind="stable")
    by = (stand_now - stand_before)[order]
    ids = now["id"]
    labels = now["label"] if "label" in now.column_names else pa.nulls(len(now))

    def moved(places: np.ndarray[Any, Any]) -> tuple[Moved, ...]:
        return tuple(
            Moved(
                ids[at].as_py(), labels[at].as_py(), float(stand_before[at]), float(stand_now[at]), bool(relabeled[at])
            )
            for at in places.tolist()
        )

    return Comparison(
        run_id=str(other_run.get("run_id", "")),
        method=str((other_run.get("method") or {}).get("name", "")),
        n_both=len(here),
        n_appeared=len(values) - len(here),
        n_gone=len(other) - len(here),
        n_relabeled=int(relabeled.sum()),
        correlation=_correlation(stand_now, stand_before),
        rose=moved(order[by > 0][::-1][:N_MOVED]),
        fell=moved(order[by < 0][:N_MOVED]),
        settings=tuple(_settings(other_run, run)),
    )


def _standing(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return where each value stands among all, from 0 to 1; equal values share the middle of their places."""
    from scipy.stats import rankdata  # noqa: PLC0415 - takes 0.3 s to load

    if len(column) < 2:
        return np.zeros(len(column))
    places: np.ndarray[Any, np.dtype[np.float64]] = rankdata(column.to_numpy().astype(np.float64), nan_policy="omit")
    return (np.nan_to_num(places, nan=1.0) - 1) / (len(column) - 1)


def _correlation(
    now: np.ndarray[Any, np.dtype[np.float64]], before: np.ndarray[Any, np.dtype[np.float64]]
) -> float | None:
    if len(now) < 2 or not now.std() or not before.std():
        return None
    return float(np.corrcoef(now, before)[0, 1])


def _relabeled(now: pa.Table, before: pa.Table) -> list[bool]:
    if "label" not in now.column_names or "label" not in before.column_names:
        return [False] * len(now)
    pairs = zip(now["label"].to_pylist(), before["label"].to_pylist(), strict=True)
    return [label_set(one) != label_set(other) for one, other in pairs]


def _settings(before: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the settings and sizes in which two records differ."""
    told = []
    for record in (before, now):
        method, inputs = record.get("method") or {}, record.get("inputs") or {}
        sizes = {f"{side} rows": (inputs.get(side) or {}).get("n_rows") for side in ("train", "validation")}
        names = ("metric", "precision", "ties", "aggregate")
        parameters = method.get("parameters") or {}
        told.append({"method": method.get("name"), **parameters, **sizes, **{name: record.get(name) for name in names}})
    names_of_both = dict.fromkeys([*told[0], *told[1]])
    rows = [(name, clip(told[0].get(name)).shown, clip(told[1].get(name)).shown) for name in names_of_both]
    return [row for row in rows if row[1] != row[2]]
