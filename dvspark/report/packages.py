"""The packages that only rendering needs: installed with dvspark, yet missing where a host has only its zip."""

from __future__ import annotations

from typing import Any

from dvspark.extras import import_extra

PACKAGES = ("jinja2", "matplotlib")


def require_packages() -> None:
    """Raise ConfigError now, not only after the work, if the report's packages are not installed."""
    for module in PACKAGES:
        report_module(module)


def report_module(module: str) -> Any:
    """Return a module of these packages. Raises: ConfigError when its package is not installed."""
    got, expected = f"{module.partition('.')[0]} is not installed", f"the packages {' and '.join(PACKAGES)}"
    return import_extra(module, "", "report", expected, got, ", or set report: false", " ".join(PACKAGES))
