"""Draw the demo's training and validation rows from the embedded Debian package descriptions.

The draw uses no random generator: source packages are taken in the order of a SHA-256 of their
name, so neither the NumPy version nor the order of the input rows changes it.

1.  Source packages of more than ``MAX_SOURCE_ROWS`` rows are left out. Their packages are often
    near duplicates (one per language or cross-compiler, say), and a few such source packages would
    dominate a label. A label that only they hold (``tasks``) is thereby left out; a single source
    package holds it, so that it could not be on both sides anyway.
2.  Floor: label by label, the one with the fewest source packages first, source packages are drawn
    until the label has ``FLOOR_ROWS`` rows on each side or no source package is left. Each goes to
    the side that is furthest below its floor. Rare labels are therefore over-represented.
3.  Fill: the remaining source packages are walked in order, every fifth for the validation side, and
    drawn if their side still has room for all their rows.

A source package is always drawn whole and to one side. The labels' correctness, the descriptions and
the distances between rows play no part.

Usage: ``python -m dvspark.demo.draw_sample debian_sections60k_minilm.npz OUTPUT_FOLDER``
"""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Sequence

DIMENSIONS = 384
SIDES = ("train", "validation")
SIDE_ROWS = {"train": 8_000, "validation": 2_000}
FLOOR_ROWS = {"train": 24, "validation": 6}
MAX_SOURCE_ROWS = 40
FILL_PERIOD = 5
ROW_GROUP_ROWS = 2_000
HASH_PREFIX = "dvspark demo: "

Labels = dict[str, Counter[str]]
"""Source package to its number of rows by label."""

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field(
            "embedding",
            pa.list_(pa.field("element", pa.float32(), nullable=False)),
            nullable=False,
        ),
        pa.field("label", pa.string(), nullable=False),
        pa.field("owner", pa.string(), nullable=False),
    ]
)


def hash_order(names: Sequence[str]) -> list[str]:
    """Return the names in the order of their SHA-256.

    The prefix keeps this order apart from any other split that hashes the bare names.
    """
    return sorted(names, key=lambda name: hashlib.sha256((HASH_PREFIX + name).encode()).digest())


def eligible_sources(owners: Sequence[str], labels: Sequence[str]) -> Labels:
    """Count each source package's rows by label, without those too large to draw."""
    counts: Labels = {}
    for owner, label in zip(owners, labels, strict=True):
        counts.setdefault(owner, Counter())[label] += 1
    return {owner: rows for owner, rows in counts.items() if rows.total() <= MAX_SOURCE_ROWS}


def draw_floor(sources: Labels, order: Sequence[str]) -> dict[str, str]:
    """Draw source packages until every label has its floor on both sides, where it can.

    Returns:
        The side of each source package drawn.
    """
    holders = Counter(label for rows in sources.values() for label in rows)
    drawn: dict[str, str] = {}
    rows_by_label: dict[str, Counter[str]] = {side: Counter() for side in SIDES}
    for label in sorted(holders, key=lambda name: (holders[name], name)):
        for owner in order:
            if label not in sources[owner] or owner in drawn:
                continue
            # min() takes the first of equals, so that a label's first source package is for training.
            side = min(SIDES, key=lambda s: rows_by_label[s][label] / FLOOR_ROWS[s])
            if rows_by_label[side][label] >= FLOOR_ROWS[side]:
                break
            drawn[owner] = side
            rows_by_label[side].update(sources[owner])
    return drawn


def draw_fill(sources: Labels, order: Sequence[str], drawn: dict[str, str]) -> dict[str, str]:
    """Add source packages to those drawn until both sides are full.

    Returns:
        The side of each source package drawn, by this step or before.
    """
    sides = dict(drawn)
    room = dict(SIDE_ROWS)
    for owner, side in drawn.items():
        room[side] -= sources[owner].total()
    for position, owner in enumerate(owner for owner in order if owner not in drawn):
        side = "validation" if position % FILL_PERIOD == 0 else "train"
        rows = sources[owner].total()
        if rows <= room[side]:
            sides[owner] = side
            room[side] -= rows
    if any(room.values()):
        raise ValueError(f"the sides cannot be filled with whole source packages: {room} rows are missing")
    return sides


def sample_table(data: dict[str, Any], indices: Sequence[int]) -> pa.Table:
    """Build the table of the given input rows, sorted by id."""
    order = sorted(indices, key=lambda index: str(data["package"][index]))
    # Widening float16 is exact: the column holds the stored values.
    values = data["X"][order].astype(np.float32)
    offsets = np.arange(len(order) + 1, dtype=np.int32) * DIMENSIONS
    columns = [
        pa.array(data["package"][order].tolist(), pa.string()),
        pa.ListArray.from_arrays(offsets, pa.array(values.ravel()), type=SCHEMA.field("embedding").type),
        pa.array(data["classes"][data["y"][order]].tolist(), pa.string()),
        pa.array(data["source"][order].tolist(), pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def write_table(table: pa.Table, path: Path) -> None:
    """Write one side as Parquet that Spark can split and reads without a special codec."""
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        row_group_size=ROW_GROUP_ROWS,
        # float16 has few distinct values, so a dictionary is smaller than the widened values. The
        # byte_stream_split encoding is smaller still, but the vectorized readers of the oldest Spark
        # versions that the package supports do not know it.
        use_dictionary=True,
        write_statistics=["id", "label", "owner"],
        # The Parquet types say everything; the Arrow copy of the schema would only add bytes.
        store_schema=False,
    )


def draw(npz: Path, output: Path) -> dict[str, pa.Table]:
    """Draw both sides from the input file and write them to the output folder."""
    with np.load(npz, allow_pickle=False) as archive:
        data = {name: archive[name] for name in ("X", "y", "classes", "package", "source")}
    if data["X"].shape[1:] != (DIMENSIONS,) or data["X"].dtype != np.float16:
        raise ValueError(f"X must be float16 with {DIMENSIONS} columns")
    owners: list[str] = data["source"].tolist()
    sources = eligible_sources(owners, data["classes"][data["y"]].tolist())
    order = hash_order(list(sources))
    sides = draw_fill(sources, order, draw_floor(sources, order))
    output.mkdir(parents=True, exist_ok=True)
    tables = {}
    for side in SIDES:
        tables[side] = sample_table(data, [i for i, owner in enumerate(owners) if sides.get(owner) == side])
        write_table(tables[side], output / f"{side}.parquet")
    return tables


def main(argv: Sequence[str] | None = None) -> None:
    """Run the draw and print the size and SHA-256 of what it wrote."""
    parser = argparse.ArgumentParser(description="Draw the demo's training and validation rows.")
    parser.add_argument("npz", type=Path, help="the embedded package descriptions")
    parser.add_argument("output", type=Path, help="the folder for train.parquet and validation.parquet")
    options = parser.parse_args(argv)
    for side, table in draw(options.npz, options.output).items():
        content = (options.output / f"{side}.parquet").read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        print(f"{side}.parquet: {table.num_rows} rows, {len(content)} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
