"""Settings as text (YAML, JSON, names) that anybody may have written: refused before they take memory or time."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from dvspark.errors import ConfigError, Problem
from dvspark.runs.documents import is_deeper

# Settings are a page of text, and a larger file is a mistake. A file whose references multiply is a bomb: its values
# are counted, references included, before any of them is built.
LARGEST_TEXT_BYTES = 2**18
MOST_VALUES = 10_000
MOST_LEVELS = 20
# Enough for counts and ids of snapshots. YAML can hold numbers that are longer than Python is willing to print.
LONGEST_NUMBER_BITS = 64

# Where a user of the package alone finds what a file looks like.
A_FILE = "`dvspark init` writes a file with all settings"
A_TABLE = (
    "if this is a table, give it as --train PATH or --validation PATH; an argument without -- is a file of settings"
)
TABLES = (".parquet", ".csv", ".npy", ".json")

# YAML 1.1 reads 010 as 8 and 1:30 as 90, which nobody means. A page of the latter takes PyYAML ten seconds.
OTHER_NUMBER = re.compile(r"[-+]?(0[0-9_]+|[0-9_]*:[0-9_:]*)")

# What PyYAML raises for text that looks like a date, number or truth value but is none.
OF_SCALARS = (ValueError, AttributeError, LookupError, TypeError, ArithmeticError)

PREFIX, NESTED = "DVSPARK_", "__"

# Longer marks first: a mark of UTF-32 begins with one of UTF-16.
ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the settings in a YAML file. At most LARGEST_TEXT_BYTES are read, however large the file is.

    Raises: ConfigError if the text is not YAML in UTF-8, has a key twice, or is not a mapping of settings.
    """
    where = f"configuration {path}"
    hint = A_TABLE if path.suffix.lower() in TABLES else A_FILE
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_TEXT_BYTES + 1)
        if len(content) > LARGEST_TEXT_BYTES:
            got = f"{max(len(content), path.stat().st_size)} bytes"
            raise ConfigError(Problem(where, f"at most {LARGEST_TEXT_BYTES} bytes", got, "is it the right file?"))
        text = _decoded(content)
        _refuse_what_grows(text)
        read = _OneKeyOnce(text).get_single_data()
    except (OSError, yaml.YAMLError, RecursionError, *OF_SCALARS) as error:
        raise ConfigError(Problem(where, "a readable YAML file", _said(error), hint)) from None
    if not isinstance(read, dict):
        raise ConfigError(Problem(where, "settings, key: value", type(read).__name__, hint))
    settings = {str(key): value for key, value in read.items()}
    if problems := repeated_settings(where, settings):
        raise ConfigError(problems)
    return settings


def repeated_settings(where: str, names: Iterable[str]) -> list[Problem]:
    """Return which names stand for one setting: pydantic-settings does not tell upper case from lower case."""
    problems, known = list[Problem](), dict[str, str]()
    for name in names:
        if (other := known.setdefault(name.lower(), name)) != name:
            hint = "drop one: case does not matter"
            problems.append(Problem(where, "each setting once", f"{other} and {name}", hint))
    return problems


def environment_problems(environment: Mapping[str, str]) -> list[Problem]:
    """Return problems of DVSPARK_* variables: given twice, with too many levels, or too long."""
    ours = {name: value for name, value in environment.items() if name.upper().startswith(PREFIX)}
    problems = repeated_settings("environment", ours)
    for name, value in ours.items():
        if name.count(NESTED) > MOST_LEVELS:
            got = f"{name.count(NESTED)} in {name[:60]}..."
            problems.append(Problem("environment", f"at most {MOST_LEVELS} levels of sections", got, "unset it"))
        elif wrong := _wrong_with_json(value):
            problems.append(Problem(f"environment variable {name}", "settings as JSON", wrong, "write a page at most"))
    return problems


def text_problems(settings: Any) -> list[Problem]:
    """Return problems of settings that no path, name or count can have: NUL, bytes that are not UTF-8, huge numbers."""
    problems = []
    for place, text in _scalars(settings):
        if isinstance(text, int):
            if text.bit_length() > LONGEST_NUMBER_BITS:
                got = f"one of {text.bit_length()} bits"
                problems.append(
                    Problem(place, f"a number of at most {LONGEST_NUMBER_BITS} bits", got, "write a smaller one")
                )
        elif "\0" in text:
            problems.append(Problem(place, "text", f"a NUL character, at {text.index(chr(0))}", "leave it out"))
        elif not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            problems.append(Problem(place, "text in UTF-8", "bytes or escapes that are no text", "write it in UTF-8"))
    return problems


def _scalars(settings: Any) -> Iterator[tuple[str, str | int]]:
    left = [("", settings)]
    while left:
        place, value = left.pop()
        if isinstance(value, (str, int)):
            yield place, value
        elif isinstance(value, Mapping):
            left += [(f"{place}.{key}".lstrip("."), inner) for key, inner in value.items()]
            left += [(f"a key of {place or 'the settings'}", key) for key in value]
        elif isinstance(value, (list, tuple)):
            left += [(place, inner) for inner in value]


def _decoded(content: bytes) -> str:
    for mark, name in ENCODINGS.items():
        if content.startswith(mark):
            raise _NoSettingsError(f"text in {name}: save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _NoSettingsError(f"bytes that are not UTF-8, in line {line}: save it as UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _NoSettingsError(f"a NUL character, in line {line}: is it text in UTF-8?")
    return text


def _refuse_what_grows(text: str) -> None:
    """Raise ValueError for YAML with too many levels or values; a reference counts as much as what it stands for.

    This takes one pass over the events, before anything is built. A reference always comes after its target.
    """
    open_now: list[list[Any]] = []  # of each list or mapping: its anchor, its values, levels below it
    known: dict[str | None, tuple[int, int]] = {}
    for event in yaml.parse(text, yaml.SafeLoader):
        size, levels = 0, 0
        if isinstance(event, yaml.CollectionStartEvent):
            open_now.append([event.anchor, 0, 0])
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size, levels = open_now.pop()
            size, levels = size + 1, levels + 1
            known[anchor] = size, levels
        elif isinstance(event, yaml.ScalarEvent):
            size = 1
            known[event.anchor] = size, 0
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in [anchor for anchor, *_ in open_now]:
                raise _NoSettingsError(f"a reference to what it is part of, {_place(event)}")
            size, levels = known.get(event.anchor, (1, 0))
        if open_now:
            open_now[-1][1] += size
            open_now[-1][2] = max(open_now[-1][2], levels)
        if sum(inner for _, inner, _ in open_now) > MOST_VALUES:
            raise _NoSettingsError(f"more than {MOST_VALUES} values, references written out, {_place(event)}")
        if len(open_now) + levels > MOST_LEVELS:
            raise _NoSettingsError(f"more than {MOST_LEVELS} levels, {_place(event)}")


def _place(event: yaml.Event) -> str:
    return "" if event.start_mark is None else f"in line {event.start_mark.line + 1}"


class _NoSettingsError(ValueError):
    """Says what is wrong with a text, without repeating any of it."""


class _OneKeyOnce(yaml.SafeLoader):
    """Builds plain data only; refuses keys given twice, and numbers that YAML reads as other numbers."""

    def construct_yaml_int(self, node: Any) -> int:
        if OTHER_NUMBER.fullmatch(node.value):
            problem = "a whole number that YAML reads as octal or to the base of 60"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return int(super().construct_yaml_int(node))

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set[str]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(problem="a key that is there already", problem_mark=key.start_mark)
                seen.add(key.value)
        return node


_OneKeyOnce.add_constructor("tag:yaml.org,2002:int", _OneKeyOnce.construct_yaml_int)


# What follows these words in PyYAML's messages is text of the file, such as a password that begins with * or !.
_OF_TEXT = re.compile(r"\b(alias|anchor|tag|handle|directive)\b .*", re.DOTALL)


def _said(error: Exception) -> str:
    """Return what is wrong with a file and where, without the text found there, which may be a secret."""
    if isinstance(error, OF_SCALARS) and not isinstance(error, _NoSettingsError):
        return "a number or a date that is none"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        said = ", ".join(_OF_TEXT.sub(r"\1", text) for text in (error.context, error.problem) if text)
        return f"{said}, in line {mark.line + 1}, column {mark.column + 1}"
    return str(error)


def _wrong_with_json(text: str) -> str | None:
    """Return why a text of JSON cannot be a setting; None if it can, or if the text is not JSON."""
    if len(text) > LARGEST_TEXT_BYTES:
        return f"{len(text)} characters"
    repeated = list[str]()

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        once = dict(found)
        if len(once) < len(found):
            names = [name for name, _ in found]
            repeated.append(next(name for place, name in enumerate(names) if name in names[:place]))
        return once

    try:
        told = json.loads(text, object_pairs_hook=pairs)
    except RecursionError:
        return f"more than {MOST_LEVELS} levels"
    except ValueError:
        return None  # not JSON; whoever needs JSON here reports it
    if repeated:
        return f"a key twice: {repeated[0][:60]}"
    return f"more than {MOST_LEVELS} levels" if is_deeper(told, MOST_LEVELS) else None
