"""Run: the way of the data from tables to published values: one pipeline, one module for each stage, and rooms.

A room holds what several stages share about one thing: `kinds`, `change`, `checks`, `presenting`, `frames`.
"""

from __future__ import annotations
