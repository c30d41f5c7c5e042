"""Configuration: the settings of a job, the sources they come from, and which source wins."""

from __future__ import annotations
