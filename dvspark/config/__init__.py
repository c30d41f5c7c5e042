"""Configuration: the settings of a job, where they come from, and which of them goes before which."""

from __future__ import annotations
