"""Formulas: the value of a row in the game of each method; one file for each method, and what several share."""

from __future__ import annotations
