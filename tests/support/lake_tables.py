"""Delta and Iceberg tables of a few hundred rows, written by deltalake and pyiceberg."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from frames import Side


def rows_of(side: Side, **columns: Any) -> pa.Table:
    """Return the rows as a table with id, embedding, label and further columns."""
    x = pa.array(list(side.x), pa.list_(pa.from_numpy_dtype(side.x.dtype)))
    return pa.table({"id": side.ids, "embedding": x, "label": side.labels, **columns})


def write_delta(folder: Path, *commits: pa.Table, **options: Any) -> str:
    """Append the tables to the Delta table in a folder, one commit each; return its path."""
    from deltalake import write_deltalake

    for rows in commits:
        write_deltalake(folder, rows, mode="append", **options)
    return str(folder)


def open_catalog(folder: Path) -> Any:
    """Return a catalog ``lake`` in SQLite with an empty namespace ``db``; its tables lie in the folder."""
    from pyiceberg.catalog import load_catalog

    folder.mkdir(parents=True, exist_ok=True)
    catalog = load_catalog("lake", **catalog_properties(folder))
    catalog.create_namespace_if_not_exists("db")
    return catalog


def catalog_properties(folder: Path) -> dict[str, str]:
    """Return what pyiceberg must be told of the catalog."""
    return {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/warehouse"}


def write_iceberg(catalog: Any, name: str, *commits: pa.Table, **options: Any) -> Any:
    """Create an Iceberg table and append the tables, one snapshot each; return it."""
    table = catalog.create_table(f"db.{name}", schema=commits[0].schema, **options)
    for rows in commits:
        table.append(rows)
    return table
