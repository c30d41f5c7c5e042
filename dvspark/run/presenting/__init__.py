"""Presenting: the documents of a run, for people and for machines."""

from __future__ import annotations
