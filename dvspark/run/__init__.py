"""Run: the way of the data from tables to published values: one pipeline, and one module for each stage."""

from __future__ import annotations
