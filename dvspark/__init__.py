"""dvspark: exact data values of training rows, computed by Spark and checked by its own audit."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dvspark.engine.local import value_arrays
from dvspark.engine.other_inputs import chg_value_arrays
from dvspark.errors import (
    AuditError,
    ComputeError,
    ConfigError,
    DataWarning,
    DvsparkError,
    InputError,
    OutputConflictError,
)
from dvspark.version import __version__

if TYPE_CHECKING:
    from dvspark import privacy
    from dvspark.dataframes import Result, value_table

__all__ = [
    "AuditError",
    "ComputeError",
    "ConfigError",
    "DataWarning",
    "DvsparkError",
    "InputError",
    "OutputConflictError",
    "Result",
    "__version__",
    "chg_value_arrays",
    "privacy",
    "value_arrays",
    "value_table",
]


def __getattr__(name: str) -> Any:
    # Spark is an extra: what needs it is imported when it is asked for.
    if name in ("Result", "value_table"):
        from dvspark import dataframes  # noqa: PLC0415

        return getattr(dataframes, name)
    if name == "privacy":
        return import_module("dvspark.privacy")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
