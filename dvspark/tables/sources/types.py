"""Types: what Spark calls Arrow's types, and the other way round."""

from __future__ import annotations

import pyarrow as pa

from dvspark.schemas.arrow import ARROW_TYPES


def spark_type(kind: pa.DataType) -> str | None:
    """Return a type as Spark calls it, None for structs, maps and what Spark lacks; how elements are called is lost."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = spark_type(kind.value_type)
        return None if inner is None else f"array<{inner}>"
    if pa.types.is_decimal128(kind):
        return f"decimal({kind.precision},{kind.scale})"
    small = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}.get(kind, kind)
    return next((name for name, known in ARROW_TYPES.items() if known == small), None)
