"""Types: Spark's names of Arrow's types, and columns of them in Spark's SQL."""

from __future__ import annotations

import pyarrow as pa

from dvspark.schemas.arrow import ARROW_TYPES

# Types that Parquet files have only in what Arrow writes beside them, and integers that Spark reads as wider ones.
READ_AS = {
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
}


def spark_type(kind: pa.DataType) -> str | None:
    """Return Spark's name of a type; None for structs, maps and types that Spark lacks. Names of elements are lost."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        # Some of Arrow's casts from lists of dictionaries give wrong values.
        inner = None if pa.types.is_dictionary(kind.value_type) else spark_type(kind.value_type)
        return None if inner is None else f"array<{inner}>"
    if pa.types.is_dictionary(kind):
        return spark_type(kind.value_type)
    if isinstance(kind, pa.FixedShapeTensorType):
        return spark_type(kind.storage_type)
    read_as = pa.binary() if pa.types.is_fixed_size_binary(kind) else READ_AS.get(kind, kind)
    if pa.types.is_decimal128(read_as):
        return f"decimal({read_as.precision},{read_as.scale})"
    return next((name for name, known in ARROW_TYPES.items() if known == read_as), None)


def without_views(kind: pa.DataType) -> pa.DataType:
    """Return a type itself, or one of the same words for a type of which Arrow takes no rows, also inside of others."""
    if isinstance(kind, pa.StructType):
        return pa.struct([_without_views(kind.field(place)) for place in range(kind.num_fields)])
    if isinstance(kind, pa.MapType):
        return pa.map_(_without_views(kind.key_field), _without_views(kind.item_field), keys_sorted=kind.keys_sorted)
    if isinstance(kind, pa.FixedSizeListType):
        return pa.list_(_without_views(kind.value_field), kind.list_size)
    if isinstance(kind, pa.ListType):
        return pa.list_(_without_views(kind.value_field))
    if isinstance(kind, pa.LargeListType):
        return pa.large_list(_without_views(kind.value_field))
    return {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}.get(kind, kind)


def _without_views(field: pa.Field) -> pa.Field:
    return field.with_type(without_views(field.type))


def ddl_of(types: dict[str, str]) -> str:
    """Return columns, and the Spark type of each, as Spark's SQL takes any names."""
    return ", ".join(f"{quoted(name)} {kind}" for name, kind in types.items())


def quoted(name: str) -> str:
    """Return a name as Spark's SQL takes any."""
    return f"`{name.replace('`', '``')}`"
