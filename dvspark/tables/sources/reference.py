"""References: where a table is, and what its columns are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

# What columns are used as.
ROLES = ("id", "embedding", "label", "owner", "weight", "task", "loss", "epoch")


@dataclass(frozen=True)
class TableReference:
    """Where rows are, and what their columns are called. Either ``path`` with ``format`` is given, or ``table``.

    ``embedding_dtype`` is the type of numbers in binary embeddings (`typed_bytes.DTYPES`), and in CSV files.
    ``embedding_file`` is a NumPy file with the embeddings of a Parquet file's rows (`numpy_files`).
    ``version`` (of Delta), ``snapshot`` (an id, of Iceberg) or ``timestamp`` chooses the state of the table; without
    them, the latest state. ``owned``: a table whose rows are read with these, as rows that are owned.
    """

    path: str | None = None
    format: str = "parquet"
    table: str | None = None
    version: int | None = None
    snapshot: int | None = None
    timestamp: datetime | None = None
    id: str = "id"
    embedding: str = "embedding"
    label: str = "label"
    owner: str | None = None
    weight: str | None = None
    task: str | None = None
    loss: str | None = None
    epoch: str | None = None
    embedding_dtype: str | None = None
    embedding_file: str | None = None
    owned: TableReference | None = None

    @classmethod
    def of_frame(cls, name: str, columns: Mapping[str, Any] | None) -> TableReference:
        """Return the reference of a given DataFrame; ``columns`` maps roles to the names of its columns."""
        return cls(path=name, **(columns or {}))

    def asked(self, asks: tuple[str, ...]) -> TableReference:
        """Return the reference of training rows with default names for the columns that a method asks for."""
        owner = self.owner or ("owner" if "owners" in asks else None)
        weight = self.weight or ("weight" if "weights" in asks else None)
        return replace(self, owner=owner, weight=weight, task=None, loss=self._loss(asks))

    def columns(self) -> dict[str, str]:
        """Return the names of the columns by role: id, embedding, label, and those of others that are asked for."""
        names = {role: getattr(self, role) for role in ROLES}
        return {role: name for role, name in names.items() if name is not None}

    def of_rows_alone(self) -> TableReference:
        """Return the reference with ids, embeddings and labels alone, as of owned rows."""
        return replace(self, owner=None, weight=None, task=None, loss=None, epoch=None)

    def of_validation(self, asks: tuple[str, ...] = ()) -> TableReference:
        """Return the reference without the columns that only training rows have; losses all have, if asked for."""
        return replace(self, owner=None, loss=self._loss(asks))

    def _loss(self, asks: tuple[str, ...]) -> str | None:
        if self.epoch is not None and "losses" not in asks:
            return None  # joined gradients would be weighed by them
        return self.loss or ("loss" if "losses" in asks else None)

    def __str__(self) -> str:
        """Return the place as people write it."""
        return self.table or str(self.path)
