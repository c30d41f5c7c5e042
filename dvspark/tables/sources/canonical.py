"""Canonical columns: under which type each column of a table is used, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dvspark.errors import Problem, close_matches
from dvspark.tables.sources.folders import twins

if TYPE_CHECKING:
    from dvspark.tables.sources.reference import TableReference

INTEGERS = ("tinyint", "smallint", "int", "bigint")

_NUMBERED = re.compile(r"(.*?_?)\d+")

EXPECTED_TYPES = {
    "id": "a string or an integer",
    "embedding": "array<float>, array<double>, binary (of embedding_dtype, little-endian) or an ml vector",
    "label": "a string, an integer, or an array of either",
    "owner": "a string or an integer",
    "weight": "a number",
    "task": "a string or an integer",
    "loss": "a number",
    "epoch": "a string or an integer",
    "target": "a number, which regression predicts",
}
HINTS = {
    "id": "cast it to string",
    "embedding": "put all numbers of a row into one array, such as by array('x_0', 'x_1') of Spark",
    "label": "cast it to string or integer, NaN to null; of one-hot rows give the class, the argmax; "
    "numbers to predict are for knn_regression_shapley",
    "owner": "cast it to string",
    "weight": "cast it to double",
    "task": "cast it to string",
    "loss": "cast it to double",
    "epoch": "cast it to an integer",
    "target": "cast it to double",
}


def canonical_columns(
    side: str, reference: TableReference, target: str, fields: Sequence[tuple[str, str]], *, tells_case: bool
) -> dict[str, str] | list[Problem]:
    """Return the DDL of each role, or everything wrong with a table's columns.

    ``fields``: names and types of its columns, as Spark calls them. ``tells_case``: whether names that differ in case
    alone are two. Integers widen to bigint, ml vectors become array<double>, weights, losses and, with ``target``
    "number", labels double; nothing else is converted.
    """
    where, given = f"{side} table {reference}", dict(fields)
    problems, types = _twin_problems(where, reference, [name for name, _ in fields], tells_case), dict[str, str]()
    for role, name in reference.columns().items():
        if name not in given:
            problems.append(_missing(side, reference, role, [*given]))
            continue
        kind = kind_of(role, target)
        ddl = canonical_type(kind, given[name])
        if ddl is None:
            hint = _embedding_hint(given[name]) if kind == "embedding" else HINTS[kind]
            problems.append(Problem(f"{side} column {name!r}", EXPECTED_TYPES[kind], given[name], hint))
            continue
        types[role] = ddl
    if reference.embedding_dtype is not None and types.get("embedding", "binary") != "binary":
        hint = f"leave {side}.embedding_dtype out: numbers in arrays have their own type"
        problems.append(Problem(f"{side}.embedding_dtype", "embeddings in bytes", types["embedding"], hint))
    return problems or types


def _embedding_hint(kind: str) -> str:
    """Return how a column of a type, as Spark calls it, becomes one of embeddings."""
    if kind == "string":
        return "make arrays of numbers in text, such as by from_json(..., 'array<float>') of Spark; embed words"
    if kind.startswith(("array<array<", "struct<", "array<struct<")):
        return "make one array of numbers a row; of files, `dvspark import table` does so"
    if kind.startswith("array<"):
        return "cast the elements to float; of files with numbers, `dvspark import table` does so"
    return HINTS["embedding"]


def _missing(side: str, reference: TableReference, role: str, names: Sequence[str]) -> Problem:
    """Return the problem of a column that a table lacks."""
    name = reference.columns()[role]
    expected, hint = f"a column {name!r} ({role})", f"set {side}.{role} to the column's name"
    if role == "embedding" and reference.format == "csv":
        expected = f"columns {name}_0, {name}_1, ... (embedding), with a number in each"
        hint = f"rename the columns of numbers, or set {side}.{role} to what their names have before the number"
    elif role == "embedding" and (numbered := _numbered(name, names)):
        hint = (
            f"put {numbered[0]}, {numbered[1]}, ... into one array a row, such as by array(...) of Spark; or write CSV"
        )
    elif near := close_matches(name, names, all_known=False):
        hint = f"{near} Then {hint}"
    return Problem(f"{side} table {reference}", expected, f"columns {', '.join(names)}", hint)


def _numbered(name: str, names: Sequence[str]) -> list[str]:
    """Return the columns that may be the numbers of embeddings, one number a column; none if fewer than two may."""
    found: dict[str, list[str]] = {}
    for column in names:
        if numbered := _NUMBERED.fullmatch(column):
            found.setdefault(numbered[1], []).append(column)
    most = max(found.values(), key=lambda columns: (columns[0].startswith(name), len(columns)), default=[])
    return most if len(most) > 1 else []


def _twin_problems(where: str, reference: TableReference, names: list[str], tells_case: bool) -> list[Problem]:
    """Return which columns that are used are there twice, as Spark compares names."""
    used = set(reference.columns().values())
    expected, hint = "each name once", "drop or rename all but one: frame.drop(...), frame.toDF(...)"
    problems = [
        Problem(where, expected, f"{names.count(name)} columns {name!r}", hint)
        for name in sorted(used)
        if names.count(name) > 1
    ]
    return problems if tells_case else problems + list(twins(where, sorted(used), names))


def kind_of(role: str, target: str) -> str:
    """Return what a column is used as: its role, or "target" for labels that are numbers to predict."""
    return "target" if role == "label" and target == "number" else role


def canonical_type(role: str, name: str) -> str | None:
    """Return the DDL under which a column of a type, as Spark calls it, is used, or None if it cannot be."""
    if role == "embedding":
        if name in ("array<float>", "array<double>", "binary"):
            return name
        return "array<double>" if name == "vector" else None
    if role in ("target", "weight", "loss"):
        return "double" if name in (*INTEGERS, "float", "double") or name.startswith("decimal") else None
    if role == "label" and name.startswith("array<"):
        inner = _key_type(name[len("array<") : -1])
        return None if inner is None else f"array<{inner}>"
    return _key_type(name)


def _key_type(name: str) -> str | None:
    if name == "string" or name.startswith(("varchar", "char(")):
        return "string"
    return "bigint" if name in INTEGERS else None
