"""The packages that only rendering needs, those of the extra `report`."""

from __future__ import annotations

from typing import Any

from dvspark.extras import import_extra


def require_extras() -> None:
    """Raise ConfigError now, not only after the work, if the report's packages are not installed."""
    for module in ("jinja2", "matplotlib"):
        report_module(module)


def report_module(module: str) -> Any:
    """Return a module of the extra. Raises: ConfigError when its package is not installed."""
    got = f"{module.partition('.')[0]} is not installed"
    return import_extra(module, "report", "report", "the packages jinja2 and matplotlib", got)
