"""Hidden imports: programs in which packages are not installed."""

from __future__ import annotations

from collections.abc import Iterable

HIDE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages}:
            raise ModuleNotFoundError(f"no module {{name}}", name=name)

sys.meta_path.insert(0, Hidden())
"""


def hiding(packages: Iterable[str], code: str) -> str:
    """Return a program that runs the code where these packages cannot be imported."""
    return f"{HIDE.format(packages=tuple(packages))}\n{code}"
