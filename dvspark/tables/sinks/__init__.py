"""Sinks: where results are published, either staged beside their place and renamed, or in one commit."""

from __future__ import annotations
