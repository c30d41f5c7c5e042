"""The packages that only rendering needs, imported when used and missed with advice."""

from __future__ import annotations

import importlib
from typing import Any

from dvspark.errors import ConfigError, Problem


def require_extras() -> None:
    """Raise ConfigError now, rather than after the work, when the report's packages are not installed."""
    for module in ("jinja2", "matplotlib"):
        import_extra(module)


def import_extra(module: str) -> Any:
    """Return a module of the extra ``report``.

    Raises ConfigError when its package is not installed.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        problem = Problem(
            where="report",
            expected="the packages jinja2 and matplotlib",
            got=f"{package} is not installed",
            hint="pip install 'dvspark[report]'",
        )
        raise ConfigError(problem) from error
