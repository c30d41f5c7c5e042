"""Runs: what identifies a run, and the record it leaves."""
