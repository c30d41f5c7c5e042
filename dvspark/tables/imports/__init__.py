"""Imports: files of other tools become train and validation tables in Parquet.

One file of rows after the other becomes a file of each table; an import that was stopped goes on behind the last one.
"""

from __future__ import annotations
