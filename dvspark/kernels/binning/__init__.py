"""Binning: the binned ranking, in which all but the nearest rows are ordered by bins of nearly equal distance."""

from __future__ import annotations
