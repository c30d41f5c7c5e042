"""dvspark: exact data values of training rows, computed by Spark and checked by its own audit."""

from __future__ import annotations

__version__ = "0.1.0"
