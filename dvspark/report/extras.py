"""The packages that only rendering needs: imported when used, with advice if they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from dvspark.errors import ConfigError, Problem


def require_extras() -> None:
    """Raise ConfigError now, not only after the work, if the report's packages are not installed."""
    for module in ("jinja2", "matplotlib"):
        import_extra(module)


def import_extra(module: str) -> Any:
    """Return a module of the extra ``report``.

    Raises: ConfigError if its package is not installed.
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
