"""Bad lines: lines of a file that are set aside, with what is wrong with each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dvspark.schemas import Bools
from dvspark.schemas.arrow import arrow_schema
from dvspark.schemas.import_tables import BAD_LINES

# So much of a line is kept: enough to find and know it again.
SHOWN_CHARACTERS = 80
# Where all lines are bad, the file is another than it was taken for, and more of them tell nothing more.
MOST_KEPT = 100_000


def lacking(column: pa.Array) -> Bools:
    """Return which rows lack an id, a label or an owner, (n,): null, no labels, or a null among them."""
    is_odd = pc.is_null(column)
    if pa.types.is_nested(column.type):
        is_odd = pc.or_(is_odd, pc.fill_null(pc.equal(pc.list_value_length(column), 0), False))
    found = is_odd.to_numpy(zero_copy_only=False).copy()
    if pa.types.is_nested(column.type):
        rows = pc.list_parent_indices(column).to_numpy()
        found[rows[pc.is_null(pc.list_flatten(column)).to_numpy(zero_copy_only=False)]] = True
    return np.asarray(found, np.bool_)


@dataclass
class BadLines:
    """The bad lines of one file: how many for each reason, and the first `MOST_KEPT` of them.

    Memory: at most some 20 MB.
    """

    file: str
    counts: Counter[str] = field(default_factory=Counter)
    _rows: list[tuple[int | None, str, str]] = field(default_factory=list)

    def add(self, line: int | None, reason: str, text: str | bytes) -> None:
        """Set a line aside."""
        self.counts[reason] += 1
        if len(self._rows) < MOST_KEPT:
            words = text.decode(errors="replace") if isinstance(text, bytes) else text
            self._rows.append((line, reason, words[:SHOWN_CHARACTERS]))

    def table(self) -> pa.Table:
        """Return them as the table `BAD_LINES`, in the order of lines; those without a number come first."""
        rows = sorted(self._rows, key=lambda row: row[0] or 0)
        lines, reasons, texts = zip(*rows, strict=True) if rows else ((), (), ())
        columns = [[self.file] * len(lines), list(lines), list(reasons), list(texts)]
        return pa.table(columns, schema=arrow_schema(BAD_LINES))

    def write(self, path: Path) -> None:
        """Write the table to a Parquet file; no file where no line is bad."""
        path.unlink(missing_ok=True)
        if self._rows:
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(self.table(), path)
