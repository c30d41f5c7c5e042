"""Gradients: a softmax head, gradients in it, and sums of them that do not depend on the order of rows."""

from __future__ import annotations
