"""dvspark: exact data values of training rows, computed by Spark and checked by its own audit."""

from __future__ import annotations

from dvspark.engine.local import value_arrays

__version__ = "0.1.0"
__all__ = ["value_arrays"]
