"""Audit: pure checks on what came back; a value is published only when all of them pass."""
