"""Index: the training rows as packed files, whole or in blocks: written, described, cached and opened."""

from __future__ import annotations
