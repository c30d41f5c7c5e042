"""Folders of NumPy shards, laid out as clip-retrieval lays them out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def write_shards(folder: Path, x: Any, columns: dict[str, Any], sizes: list[int], group: int = 7) -> Path:
    """Write rows to so many shards, of so many rows each, with numbers as wide as they have to be."""
    ends = np.cumsum([0, *sizes])
    assert ends[-1] == len(x)
    for name in ("img_emb", "metadata"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, (start, end) in enumerate(pairwise(ends)):
        label = str(number).zfill(len(str(len(sizes) - 1)))
        np.save(folder / "img_emb" / f"img_emb_{label}.npy", x[start:end])
        table = pa.table({name: values[start:end] for name, values in columns.items()})
        pq.write_table(table, folder / "metadata" / f"metadata_{label}.parquet", row_group_size=group)
    return folder
