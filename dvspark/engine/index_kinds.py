"""Index kinds: one index packed as a whole, or blocks of it, and the engine that values with each."""

from __future__ import annotations

from typing import Any

from dvspark.engine.index.train_blocks import BlocksReference
from dvspark.engine.index.train_index import IndexReference
from dvspark.engine.replicated import replicated
from dvspark.engine.sharded import sharded

Index = IndexReference | BlocksReference


def engine_of(index: Index) -> Any:
    """Return the engine that values with this kind of index; both have the same functions."""
    return sharded if isinstance(index, BlocksReference) else replicated
