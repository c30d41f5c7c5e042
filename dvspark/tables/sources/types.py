"""Types: what Spark calls Arrow's types, and the other way round."""

from __future__ import annotations

import pyarrow as pa

ARROW_TYPES = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}


def arrow_type(ddl: str) -> pa.DataType:
    """Return the Arrow type of a Spark type, or of an array of one."""
    return pa.list_(arrow_type(ddl[len("array<") : -1])) if ddl.startswith("array<") else ARROW_TYPES[ddl]


def spark_type(kind: pa.DataType) -> str | None:
    """Return a type as Spark calls it, None for structs, maps and what Spark lacks; how elements are called is lost."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = spark_type(kind.value_type)
        return None if inner is None else f"array<{inner}>"
    if pa.types.is_decimal128(kind):
        return f"decimal({kind.precision},{kind.scale})"
    small = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}.get(kind, kind)
    return next((name for name, known in ARROW_TYPES.items() if known == small), None)
