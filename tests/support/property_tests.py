"""How often property tests try: the same examples each time in CI, else fresh ones; to fuzz, 20 times as many."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

USUAL = 100
FUZZ = 20

# No deadline: a first call pays for imports and compilation, and machines are shared.
# Hypothesis derandomizes every profile that does not say otherwise where `CI` is set.
settings.register_profile("dev", max_examples=USUAL, deadline=None, derandomize=False)
settings.register_profile("ci", max_examples=USUAL, deadline=None, derandomize=True, print_blob=True)
settings.register_profile("fuzz", max_examples=FUZZ * USUAL, deadline=None, derandomize=False, print_blob=True)
# `pytest --hypothesis-profile` comes later, and has the last word.
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def examples(n: int, **options: Any) -> settings:
    """Return settings for ``n`` examples, times what the profile says, which `max_examples` alone would not follow."""
    return settings(max_examples=n * settings().max_examples // USUAL, **options)
