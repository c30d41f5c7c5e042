"""Formulas: what each method's game is worth to a row; one file a method, and what several of them share."""

from __future__ import annotations
