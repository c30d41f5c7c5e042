"""Audit: pure checks of the results; values are published only if no check fails."""
