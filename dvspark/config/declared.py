"""Every setting as it is declared: its name, meaning and default, and what it accepts; for help and for messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dvspark.config.fields import PARAMETERS
from dvspark.config.job import SECTIONS, JobConfig

# More words than these are not listed where a value is written in short.
MOST_WORDS = 6

# How a value is written in short, and in words for messages, by its type.
FORMS: dict[Any, tuple[str, str]] = {
    int: ("N", "a whole number"),
    float: ("NUMBER", "a number"),
    str: ("TEXT", "a text"),
    datetime: ("TIME", "a date and a time, such as 2026-01-31T12:00:00Z"),
    dict: ("TEXT", "settings, key: value"),
}


@dataclass(frozen=True)
class Setting:
    """One setting, its name with its section.

    ``form``: how a value is written, in short. ``expected``: what it accepts, in words. ``words``: the only words that
    it accepts, if it accepts only some. ``methods``: those that have it as this parameter.
    """

    name: str
    meaning: str
    default: Any
    form: str
    expected: str
    words: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()


@cache
def declared_settings() -> tuple[Setting, ...]:
    """Return all settings in the order of the configuration; a parameter once for each declaration that it has."""
    return tuple(_settings(JobConfig, ""))


def expected_of(name: str) -> str:
    """Return in words what a setting or a section accepts; of a parameter, for each method that has it."""
    known = [setting for setting in declared_settings() if setting.name == name]
    if len(known) > 1:
        return "; ".join(f"{one.expected}, for {', '.join(one.methods)}" for one in known)
    if known:
        return known[0].expected
    keys = [one.name.removeprefix(f"{name}.") for one in declared_settings() if one.name.startswith(f"{name}.")]
    return f"{'a path, or ' if name in SECTIONS else ''}a section with keys of {', '.join(keys)}"


def at_place(place: tuple[int | str, ...]) -> tuple[str, str]:
    """Return the name at a place, without what pydantic adds to it, such as a type, and in words what is expected."""
    fields, names = JobConfig.model_fields, list[str]()
    for part in map(str, place):
        if part not in fields:
            break
        field, fields = fields[part], getattr(_section(fields[part]), "model_fields", {})
        names.append(part)
    name = ".".join(names)
    if names and len(names) < len(place) and get_origin(field.annotation) is dict:
        return ".".join(map(str, place)), "a text; a number in quotes is one"
    return name, expected_of(name)


def _settings(model: type[BaseModel], prefix: str) -> list[Setting]:
    found = list[Setting]()
    for name, field in model.model_fields.items():
        section = _section(field)
        if section is not None:
            found += _settings(section, f"{name}.")
        elif not prefix and name in PARAMETERS:
            found += [
                Setting(name, one.meaning, one.default, one.form, one.expected, one.words, tuple(methods))
                for one, methods in PARAMETERS[name].items()
            ]
        else:
            found.append(_setting(prefix + name, field))
    return found


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a section; None for a single setting."""
    kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
    return next((kind for kind in kinds if issubclass(kind, BaseModel)), None)


def _setting(name: str, field: FieldInfo) -> Setting:
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    words, kind = _words(field), _kind(field)
    if words:
        form = "|".join(words) if len(words) <= MOST_WORDS else "NAME"
        expected = f"one of {', '.join(map(repr, words))}"
    elif kind is bool:
        words = ("true", "false")
        form, expected = "true|false", "true or false"
    else:
        form, expected = FORMS.get(kind, FORMS[str])
        expected += _bounds(field)
    return Setting(name, field.description or "", default, form, expected, words)


def _kind(field: FieldInfo) -> Any:
    """Return the type of a setting's values, without None and what a list or mapping has in it."""
    kinds = [kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind is not NoneType]
    origin = get_origin(field.annotation)
    return origin if origin is dict else kinds[0]


def _words(field: FieldInfo) -> tuple[str, ...]:
    """Return the only words that a setting accepts, from a Literal or from what the JSON Schema is told."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if get_origin(kind) is Literal:
            return tuple(map(str, get_args(kind)))
    extra = field.json_schema_extra
    named = extra.get("enum", ()) if isinstance(extra, dict) else ()
    return tuple(str(word) for word in named if word is not None) if isinstance(named, list) else ()


def _bounds(field: FieldInfo) -> str:
    least = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), None)
    most = next((bound.le for bound in field.metadata if isinstance(bound, Le)), None)
    if least is not None and most is not None:
        return f" from {least} to {most}"
    if least is not None:
        return f" of at least {least}"
    if most is not None:
        return f" of at most {most}"
    return " that is not empty" if any(isinstance(bound, MinLen) for bound in field.metadata) else ""
