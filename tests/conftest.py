"""Settings shared by all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: a first call pays for imports and compilation, and machines are shared.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
