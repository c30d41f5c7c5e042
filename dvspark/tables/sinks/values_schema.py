"""Values schema: the columns of a run's values, in a folder of files or in a table."""

from __future__ import annotations

import pyarrow as pa

from dvspark.schemas import ERROR_BOUND, OTHER_CLASS_VALUE, OWN_CLASS_VALUE, OWNER, VALUES
from dvspark.schemas.arrow import arrow_type

# Columns that a values table may lack; the first run that has such a column adds it.
OPTIONAL = (OWNER, ERROR_BOUND, OWN_CLASS_VALUE, OTHER_CLASS_VALUE)


def values_schema(types: dict[str, str], *, row_bounds: bool, by_class: bool = False) -> pa.Schema:
    """Return the columns of a run's values, each with its meaning; ``types`` are those of id, label and maybe owner."""
    has = {OWNER.name: OWNER.name in types, ERROR_BOUND.name: row_bounds}
    has |= {OWN_CLASS_VALUE.name: by_class, OTHER_CLASS_VALUE.name: by_class}
    columns = [*VALUES.columns, *(column for column in OPTIONAL if has[column.name])]
    # Delta calls the meaning of a column "comment", pyiceberg calls it "doc".
    return pa.schema(
        [
            pa.field(c.name, arrow_type(c.type.format(**types)), metadata={"comment": c.meaning, "doc": c.meaning})
            for c in columns
        ]
    )
