"""A small labeled data set with real label errors, and the script that draws it."""

from __future__ import annotations
