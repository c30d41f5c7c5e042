"""Index: the training rows as packed files, as a whole or in blocks: written, described, cached and opened."""

from __future__ import annotations
