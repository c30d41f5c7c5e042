"""Runs: what identifies a run, what a run keeps while it works, and the record that it leaves."""
