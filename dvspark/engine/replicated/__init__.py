"""Replicated plan: every host maps the whole index, and chunks of validation rows are spread over tasks."""

from __future__ import annotations
