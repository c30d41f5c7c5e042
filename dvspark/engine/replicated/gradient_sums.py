"""Gradient sums on Spark: exact sums of the rows of each game, and the values of rows that follow from these sums.

The sums are exact. So partitions, batches and their order change no bit, and nothing is sorted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dvspark.kernels.formulas.chg_shapley import GradientGame
from dvspark.kernels.gradients.exact_sums import ExactSum
from dvspark.schemas import Float64s
from dvspark.schemas.columns import embedding_matrix

Batches = Iterator[pa.RecordBatch]
# The number of rows, their sum and the sum of their squares, of one class.
Sums = dict[str, ExactSum]


def sum_batches(batches: Batches, n_numbers: int) -> Batches:
    """Yield the `GRADIENT_SUMS` of all batches in `ROWS` format, with gradients as embeddings and classes as labels.

    Cost: O(rows × p). Memory: about 40 p bytes for each class, and one batch.
    """
    found: dict[Any, Sums] = {}
    kind = None
    for batch in batches:
        kind = batch.schema.field("label").type
        for word, rows in _by_class(batch):
            x = _gradients(rows)
            sums = found.setdefault(word, {part: ExactSum(n) for part, n in _widths(n_numbers).items()})
            sums["rows"].add(np.full((1, 1), len(x), np.float64))
            sums["total"].add(x)
            sums["squares"].add((x * x).sum(axis=1)[:, None])
    if kind is not None:
        yield from _sums_batch(found, kind)


def add_sums(told: pa.Table) -> pa.Table:
    """Return one `GRADIENT_SUMS` row from those of one class, part and level: whole numbers added up."""
    counts = sum(np.frombuffer(one, np.int64) for one in told["counts"].to_pylist())
    return told.slice(0, 1).set_column(3, "counts", pa.array([np.asarray(counts).tobytes()], pa.binary()))


def games_of(told: pa.Table, n_numbers: int, alpha: Float64s | None) -> dict[Any, GradientGame]:
    """Return the game of each class from the `GRADIENT_SUMS` of all tasks; with ``alpha`` None, the target is the mean.

    All steps but the last are exact, in fractions. Cost: about 10 microseconds for each class and number of a gradient.
    """
    found: dict[Any, Sums] = {}
    for row in told.to_pylist():
        sums = found.setdefault(row["by"], {part: ExactSum(n) for part, n in _widths(n_numbers).items()})
        sums[row["part"]].merge({row["level"]: np.frombuffer(row["counts"], np.int64)})
    return {word: _game(sums, alpha) for word, sums in found.items()}


def value_batches(batches: Batches, games: Mapping[Any, GradientGame]) -> Batches:
    """Yield the `GRADIENT_VALUES` of batches in `ROWS` format; the bits of a row do not depend on other rows."""
    for batch in batches:
        for word, rows in _by_class(batch):
            value = games[word].values(_gradients(rows))
            yield pa.RecordBatch.from_arrays(
                [rows.column("id"), rows.column("label"), pa.array(value)], ["id", "by", "value"]
            )


def _gradients(rows: pa.RecordBatch) -> Float64s:
    """Return the gradients of rows, (n, p); where losses are given, each times its loss."""
    x = embedding_matrix(rows.column("embedding"), np.dtype(np.float64)).astype(np.float64, copy=False)
    return x * np.asarray(rows.column("loss"), np.float64)[:, None] if "loss" in rows.schema.names else x


def _by_class(batch: pa.RecordBatch) -> Iterator[tuple[Any, pa.RecordBatch]]:
    """Yield each class in the batch with its rows."""
    words = pc.unique(batch.column("label"))
    for word in words:
        yield word.as_py(), batch if len(words) == 1 else batch.filter(pc.equal(batch.column("label"), word))


def _widths(n_numbers: int) -> dict[str, int]:
    return {"rows": 1, "total": n_numbers, "squares": 1}


def _sums_batch(found: Mapping[Any, Sums], kind: pa.DataType) -> Batches:
    types = pa.schema([("by", kind), ("part", pa.string()), ("level", pa.int32()), ("counts", pa.binary())])
    for word, sums in found.items():
        told = [
            {"by": word, "part": part, "level": level, "counts": counts.tobytes()}
            for part, of_part in sums.items()
            for level, counts in of_part.levels.items()
        ]
        yield pa.RecordBatch.from_pylist(told, types)


def _game(sums: Sums, alpha: Float64s | None) -> GradientGame:
    n, total = int(sums["rows"].fractions()[0]), sums["total"].fractions()
    square = sums["squares"].fractions()[0]
    if alpha is None:
        mean = np.array([float(one / n) for one in total])
        left = square - sum((one * one for one in total), Fraction(0)) / n
        return GradientGame(n, mean, np.zeros(len(mean)), max(float(left), 0.0))
    target = [Fraction(one) for one in alpha.tolist()]
    offset = np.array([float(one - n * of_alpha) for one, of_alpha in zip(total, target, strict=True)])
    left = square + sum((a * (n * a - 2 * one) for one, a in zip(total, target, strict=True)), Fraction(0))
    return GradientGame(n, alpha, offset, max(float(left), 0.0))
