"""Extras: packages that few runs need, imported when used, and missed with advice."""

from __future__ import annotations

import importlib
from typing import Any

from dvspark.errors import ConfigError, Problem


def import_extra(
    module: str, extra: str, where: str, expected: str, got: str = "", instead: str = "", packages: str = ""
) -> Any:
    """Return a module of a package that the extra ``extra`` installs.

    Raises: ConfigError where it cannot be imported. ``where``, ``expected`` and ``got`` are as in `Problem`; Python's
    own words stand in for ``got``, and wherever the package is there, but broken. ``instead``: what else one can do.
    ``packages``: what to install where no extra has it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        is_missing = isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]
        hint = f"pip install {packages or repr(f'dvspark[{extra}]')}{instead}"
        raise ConfigError(Problem(where, expected, got if got and is_missing else str(error), hint)) from error
