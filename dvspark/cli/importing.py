"""`dvspark import`: files of other tools become train and validation tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dvspark.arguments import choice_problems
from dvspark.cli.import_words import IMPORT, IMPORTS, VALUE_OF_IMPORT
from dvspark.cli.words import own_words, whole_of
from dvspark.errors import ConfigError, InputError, Problem, shown, written
from dvspark.host.printing import tell
from dvspark.logs.redact import visible
from dvspark.tables.imports.given_table import FORMATS, GivenTable, table_files
from dvspark.tables.imports.importing import GivenFiles, import_tables
from dvspark.tables.imports.npy import NpyShards
from dvspark.tables.imports.sides import Split
from dvspark.tables.imports.yfcc100m import Yfcc100m, feature_files

# What imported columns are called, whatever their names in the given files.
COLUMNS = ("id", "embedding", "label", "owner")
# The tags of a data set may be more than anyone reads.
MOST_TAGS = 5


def run(words: Sequence[str]) -> int:
    """Import files, or go on where an import was stopped, and say what came of it.

    Raises: ConfigError for unusable words, InputError for unusable files, OutputConflictError for a folder that has
    something else in it.
    """
    declared = IMPORT
    operands, given = own_words(declared, words)
    options = {one.name: one.default for one in declared.options if one.default is not None} | given
    if problems := [*choice_problems("dvspark import", operands[0] if operands else "", list(IMPORTS))]:
        raise ConfigError(problems)
    if problems := _problems(operands[0], given):
        raise ConfigError(problems)
    split = Split(_number("--validation-share", options, 0, 1), whole_of("--seed", options, 0))
    n_workers, output = whole_of("--workers", options), Path(options["--output"])
    record = import_tables(_files(operands[0], options), output, split, n_workers)
    tell((json.dumps(_told(record)) if "--json" in options else _text(record, output)) + "\n")
    return 0


def _files(asked: str, options: dict[str, str]) -> GivenFiles:
    """Return the files to import. Raises: ConfigError, InputError."""
    keep = _kept(options)
    if asked == "npy":
        named = {name: options.get(f"--{name}") for name in ("embeddings", "metadata", "id", "owner")}
        return NpyShards(options["--folder"], options["--label"], keep=keep, **named)
    if asked == "table":
        kind = options.get("--format", FORMATS[0])
        if problems := choice_problems("--format", kind, FORMATS):
            raise ConfigError(problems)
        given = {name: options[f"--{name}"] for name in ("id", "embedding", "label", "owner") if f"--{name}" in options}
        paths, told = table_files(options["--from"], kind)
        return GivenTable(paths, kind, keep=keep, told=told, **given)
    n_tags = whole_of("--tags", options) if "--tags" in options else None
    metadata = Path(options["--metadata"]) if "--metadata" in options else None
    for name in ("--autotags", "--metadata"):
        if name in options and not Path(options[name]).is_file():
            raise InputError(Problem(name, "a file", f"none at {options[name]}", "check the spelling"))
    least_score = _number("--min-score", options, 0, 1)
    paths = feature_files(Path(options["--features"]))
    return Yfcc100m(paths, Path(options["--autotags"]), metadata, least_score, n_tags, _tag_list(options))


def _kept(options: dict[str, str]) -> tuple[str, ...]:
    """Return the further columns. Raises: ConfigError for names that the tables have already."""
    keep = tuple(options["--keep"].split(",")) if "--keep" in options else ()
    if odd := [name for place, name in enumerate(keep) if name in (*COLUMNS, *keep[:place])]:
        expected = f"columns beside {', '.join(COLUMNS)}, each once"
        raise ConfigError(Problem("--keep", expected, shown(odd), "leave them out, or rename them in the given table"))
    return keep


def _tag_list(options: dict[str, str]) -> tuple[str, ...] | None:
    """Return the tags in a file, one a line; None without a file."""
    if "--tag-list" not in options:
        return None
    try:
        lines = Path(options["--tag-list"]).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        got = f"{options['--tag-list']}: {error}"
        raise InputError(Problem("--tag-list", "a text file with a tag a line", got, "check the path")) from None
    return tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))


def _problems(asked: str, given: dict[str, str]) -> list[Problem]:
    """Return which words a format lacks, which it does not know, and which exclude each other."""
    needed, known = IMPORTS[asked]
    problems = [
        Problem(f"dvspark import {asked}", f"{name} {VALUE_OF_IMPORT[name]}", "nothing", "it is needed")
        for name in needed
        if name not in given
    ]
    problems += [
        Problem(name, f"an option of dvspark import {asked}", "one of another format", "see `dvspark import --help`")
        for name in given
        if name not in (*needed, *known)
    ]
    if {"--tags", "--tag-list"} <= set(given):
        problems.append(Problem("--tags, --tag-list", "one of them", "both", "give the tags, or how many of them"))
    return problems


def _told(record: dict[str, Any]) -> dict[str, Any]:
    """Return what there is to know of an import, without its files."""
    return {name: record[name] for name in ("rows", "left_out", "bad_lines", "prepared")}


def _text(record: dict[str, Any], output: Path) -> str:
    """Return the text that a person reads at the end of an import."""
    rows, prepared = record["rows"], record["prepared"]
    lines = [f"imported {rows['train']:,} train and {rows['validation']:,} validation rows"]
    lines[0] += f" of {prepared['n_numbers']:,} numbers"
    if tags := prepared.get("tags"):
        first = ", ".join(f"{visible(tag)} {n:,}" for tag, n in list(tags.items())[:MOST_TAGS])
        lines.append(f"{len(tags):,} tags: {first}{', ...' if len(tags) > MOST_TAGS else ''}")
    lines += [f"left out, {reason}: {n:,}" for reason, n in sorted(record["left_out"].items()) if n]
    bad = {**prepared.get("bad_lines", {}), "files with rows": record["bad_lines"]}
    lines += [f"set aside, {visible(name)}: {n:,} × {why}" for name, of in bad.items() for why, n in sorted(of.items())]
    if any(bad.values()):
        lines.append(f"what was set aside: {visible(str(output / 'rejected'))}")
    places = {side: visible(str(output / side)) for side in ("train", "validation")}
    by = f"--validation {places['validation']}" if rows["validation"] else "--self_validation true"
    return "\n".join([*lines, f"next: dvspark value --train {places['train']} {by} --output results"])


def _number(name: str, options: dict[str, str], least: float, most: float) -> float:
    try:
        found = float(options[name])
    except ValueError:
        found = float("nan")
    if not least <= found <= most:
        raise ConfigError(Problem(name, f"a number from {least} to {most}", written(options[name])))
    return found
