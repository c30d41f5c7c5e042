"""Other files: what to do with files that are no tables of embeddings, by how their names end."""

from __future__ import annotations

import re

TEXT = ("csv", "tsv", "txt")
SPARK_READS = {"json": "json", "jsonl": "json", "ndjson": "json", "orc": "orc"}
PICTURES = ("png", "jpg", "jpeg", "gif", "bmp", "tif", "tiff", "webp")
NO_TABLES = ("npz", "pkl", "pickle", "feather", "arrow", "h5", "hdf5", "pt", "safetensors", "xlsx", "xls")

EMBED_PICTURES = "embed the pictures by a model, such as by dvspark.functions.embed, and give the table of embeddings"

_ENDING = re.compile(r"\.(\w+?)(?:\.(?:gz|bz2|zst|xz))?$")


def hint_for(side: str, name: str) -> str | None:
    """Return what to do with a file or a format of this name, so that its rows become a table; None if nobody knows.

    ``name``: a path, or a format such as "npy".
    """
    ending = _ending(name)
    if ending in TEXT:
        return f"set {side}.format to csv"
    if ending in SPARK_READS:
        return f"set {side}.format to {SPARK_READS[ending]}, which Spark reads; or write the rows as Parquet"
    if ending in ("npy", "numpy"):
        rows = f"write ids and labels as one Parquet file, and name the matrix by {side}.embedding_file"
        return f"{rows}; `dvspark import npy` reads shards with metadata"
    if ending in NO_TABLES:
        return (
            "write the rows as Parquet, with columns of ids, embeddings and labels; Hugging Face has Dataset.to_parquet"
        )
    return EMBED_PICTURES if is_picture(name) else None


def is_picture(name: str) -> bool:
    """Return whether a file is a picture, by its name."""
    return _ending(name) in PICTURES


def _ending(name: str) -> str:
    found = _ENDING.search("." + name.lower().rsplit("/", 1)[-1])
    return found[1] if found else ""
