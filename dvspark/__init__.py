"""dvspark: exact data values of training rows, computed in one process or by Spark, and checked by an audit."""

from __future__ import annotations

from dvspark.version import __version__

TYPE_CHECKING = False  # type checkers know this name; loading `typing` would take longer than all that follows
if TYPE_CHECKING:
    from typing import Any

    from dvspark import privacy
    from dvspark.arrays.array_values import value_arrays
    from dvspark.arrays.cleanlab_scores import data_shapley_knn
    from dvspark.arrays.estimator import DataValuator
    from dvspark.arrays.games import value_game
    from dvspark.arrays.other_inputs import chg_value_arrays, hardness_value_arrays
    from dvspark.errors import (
        AuditError,
        ComputeError,
        ConfigError,
        DataWarning,
        DvsparkError,
        InputError,
        OutputConflictError,
    )
    from dvspark.market.payouts import payout
    from dvspark.review import review_arrays
    from dvspark.run.frames.review_frames import review_table
    from dvspark.run.frames.value_frames import Result, value_table
    from dvspark.tables.sinks.published_values import read_values

__all__ = [
    "AuditError",
    "ComputeError",
    "ConfigError",
    "DataValuator",
    "DataWarning",
    "DvsparkError",
    "InputError",
    "OutputConflictError",
    "Result",
    "__version__",
    "chg_value_arrays",
    "data_shapley_knn",
    "hardness_value_arrays",
    "payout",
    "privacy",
    "read_values",
    "review_arrays",
    "review_table",
    "value_arrays",
    "value_game",
    "value_table",
]

# Imported when first used: Spark is an extra, and a command must answer signals before it loads anything large.
_PLACES = {
    "dvspark.review": ("review_arrays",),
    "dvspark.run.frames.review_frames": ("review_table",),
    "dvspark.run.frames.value_frames": ("Result", "value_table"),
    "dvspark.arrays.cleanlab_scores": ("data_shapley_knn",),
    "dvspark.arrays.estimator": ("DataValuator",),
    "dvspark.arrays.array_values": ("value_arrays",),
    "dvspark.arrays.games": ("value_game",),
    "dvspark.arrays.other_inputs": ("chg_value_arrays", "hardness_value_arrays"),
    "dvspark.market.payouts": ("payout",),
    "dvspark.tables.sinks.published_values": ("read_values",),
    "dvspark.errors": tuple(name for name in __all__ if name.endswith(("Error", "Warning"))),
}


def __getattr__(name: str) -> Any:
    from importlib import import_module  # noqa: PLC0415 - as above

    for place, names in _PLACES.items():
        if name in names:
            return getattr(import_module(place), name)
    if name == "privacy":
        return import_module("dvspark.privacy")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
