"""Arrow types of the data dictionary, derived from the tables, so that no type is written twice."""

from __future__ import annotations

import pyarrow as pa

from dvspark.schemas.tables import Table

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
    if ddl.startswith("decimal("):
        precision, scale = ddl[len("decimal(") : -1].split(",")
        return pa.decimal128(int(precision), int(scale))
    return pa.list_(arrow_type(ddl[len("array<") : -1])) if ddl.startswith("array<") else ARROW_TYPES[ddl]


def arrow_schema(table: Table, **types: str) -> pa.Schema:
    """Return the Arrow schema of a table; ``types``: those of columns that follow the input, as for `Table.ddl`."""
    return pa.schema([(column.name, arrow_type(column.type.format(**types))) for column in table.columns])
