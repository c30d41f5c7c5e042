"""Estimators: how coalitions are drawn, and how values follow from what they are worth; one idea a file."""

from __future__ import annotations
