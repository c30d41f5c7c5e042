"""Index kinds: one index packed as a whole, or blocks of it, and the engine that values with each."""

from __future__ import annotations

from typing import Any

from dvspark.engine import replicated, sharded
from dvspark.engine.train_blocks import BlocksReference
from dvspark.engine.train_index import IndexReference

Index = IndexReference | BlocksReference


def engine_of(index: Index) -> Any:
    """Return the engine that values with this kind of index; both have the same functions."""
    return sharded if isinstance(index, BlocksReference) else replicated
