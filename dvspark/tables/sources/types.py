"""Types: Spark's names of Arrow's types, and columns of them in Spark's SQL."""

from __future__ import annotations

import pyarrow as pa

from dvspark.schemas.arrow import ARROW_TYPES


def spark_type(kind: pa.DataType) -> str | None:
    """Return Spark's name of a type; None for structs, maps and types that Spark lacks. Names of elements are lost."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = spark_type(kind.value_type)
        return None if inner is None else f"array<{inner}>"
    if pa.types.is_decimal128(kind):
        return f"decimal({kind.precision},{kind.scale})"
    small = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}.get(kind, kind)
    return next((name for name, known in ARROW_TYPES.items() if known == small), None)


def ddl_of(types: dict[str, str]) -> str:
    """Return columns, and the Spark type of each, as Spark's SQL takes any names."""
    return ", ".join(f"{quoted(name)} {kind}" for name, kind in types.items())


def quoted(name: str) -> str:
    """Return a name as Spark's SQL takes any."""
    return f"`{name.replace('`', '``')}`"
