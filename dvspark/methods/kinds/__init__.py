"""Kinds: what methods have in common, by what they need of a validation point; one module for each kind."""

from __future__ import annotations
