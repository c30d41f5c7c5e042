"""Gradients: a softmax head, gradients in it, and sums of them that do not depend on any order."""

from __future__ import annotations
