"""Keeping: what a run keeps so that its validation rows may change later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dvspark.run.change.hashed_rows import hashed_rows, rows_seal
from dvspark.run.computed import Computed
from dvspark.runs.ledger import digest
from dvspark.schemas import VALIDATION_ROWS
from dvspark.tables.sinks.write import Counted, counted

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class KeptRows:
    """What a run keeps for a change: tables and documents by name, and what its record says about them."""

    tables: dict[str, pa.Table | Counted] = field(default_factory=dict)
    documents: dict[str, str | bytes] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)


@contextmanager
def kept_for_changes(computed: Computed, changed: DataFrame | None) -> Iterator[KeptRows]:
    """Yield what a change of this run needs: its totals and its validation rows; nothing if it may not change.

    ``changed``: (id, row_hash) of the validation rows after a change, if this run is one.
    """
    if not computed.checked.may_change:
        yield KeptRows()
        return
    with _persisted(hashed_rows(computed.prepared.validation_rows) if changed is None else changed) as rows:
        totals = computed.kept_totals().content()
        yield KeptRows(
            tables={VALIDATION_ROWS.name: counted(rows, computed.valued.totals.n_validation)},
            documents={"totals.npz": totals},
            told={"totals_sha256": digest(totals), "validation_rows": rows_seal(rows)},
        )


@contextmanager
def _persisted(rows: DataFrame | pa.Table) -> Iterator[DataFrame | pa.Table]:
    """Yield the rows, persisted; without this, Spark would read the table once more."""
    if isinstance(rows, pa.Table):
        yield rows
        return
    kept = rows.persist()
    try:
        yield kept
    finally:
        kept.unpersist()
