"""Fields of the configuration that are declared elsewhere: parameters, by the methods that have them, and choices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from dvspark.methods import METHODS
from dvspark.methods.parameters import Parameter


def _declarations() -> dict[str, dict[Parameter, list[str]]]:
    found: dict[str, dict[Parameter, list[str]]] = {}
    for method in METHODS.values():
        for one in method.parameters:
            found.setdefault(one.name, {}).setdefault(one, []).append(method.name)
    return found


# Settings that are parameters of methods: of each name the declarations, and of each declaration the methods.
PARAMETERS = _declarations()


def parameter(name: str, **options: Any) -> Any:
    """Return the field of a parameter. What it is for is said by the methods that declare it."""
    said = [one.meaning + ("" if one.default is None else f"; {one.default} if left out") for one in PARAMETERS[name]]
    return Field(None, description=", or: ".join(said), **options)


def choice(default: str | None, words: Iterable[str], description: str) -> Any:
    """Return the field of a setting that accepts these words alone; `JobConfig.problems` refuses others."""
    enum: list[Any] = [*words] if default is not None else [*words, None]
    return Field(default, description=description, json_schema_extra={"enum": enum})
