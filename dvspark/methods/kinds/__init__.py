"""Kinds: what methods have in common by what they ask of a validation point; one module a kind."""

from __future__ import annotations
