"""Packed files: those of the package that go to a cluster, without the demo's data."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

# Nine tenths of the package's bytes are the demo's tables, which no executor asks for.
LEFT_OUT = (".parquet", ".pyc")


def packed_files() -> Iterator[tuple[str, bytes]]:
    """Yield the name in the zip and the content of each file of the package, in order of their names."""
    yield from _below(files("dvspark"), "dvspark")


def _below(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _below(entry, f"{name}/{entry.name}")
        elif not entry.name.endswith(LEFT_OUT):
            yield f"{name}/{entry.name}", entry.read_bytes()
