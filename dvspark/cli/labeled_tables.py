"""Labeled tables: training and validation rows that a command reads into this process, by the words that name them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from dvspark.arguments import choice_problems
from dvspark.errors import ConfigError, InputError, Problem
from dvspark.evaluate.labeled import LabeledRows
from dvspark.local.session import open_local_session
from dvspark.methods.options import ValueOptions
from dvspark.schemas.columns import embedding_matrix
from dvspark.tables.sources.read import read_rows
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.typed_bytes import DTYPES
from dvspark.tables.table_checks import validate

if TYPE_CHECKING:
    from dvspark.local.rows import LocalRows

DTYPE = "--embedding-dtype"
# A setting of a table as messages about jobs name it; these commands have one word for both tables.
SETTING = re.compile(r"\b(?:train|validation)\.(\w+)")
# What such messages say of settings that these commands do not have.
OF_JOBS = re.compile("; or set on_bad_row: reject|, or set precision: float64")


def read_labeled(
    paths: Mapping[str, str], options: Mapping[str, str]
) -> dict[str, tuple[pa.ChunkedArray, LabeledRows]]:
    """Return ids and rows of the training table, and of the validation table if ``paths`` has one, in id order.

    The tables are checked as those of a job. Raises: InputError with everything that is wrong in them, ConfigError.
    """
    if DTYPE in options and (problems := choice_problems(DTYPE, options[DTYPE], [*DTYPES])):
        raise ConfigError(problems)
    names = {role: options[f"--{role}"] for role in ("id", "embedding", "label")}
    names |= {"format": options["--format"], "embedding_dtype": options.get(DTYPE)}  # type: ignore[dict-item]
    with open_local_session() as session:
        references = {side: TableReference(path=path, **names) for side, path in paths.items()}  # type: ignore[arg-type] # all words
        sides = [read_rows(session, side, reference) for side, reference in references.items()]
        try:
            inputs = validate(sides[0], sides[1] if len(sides) > 1 else None, ValueOptions(), "fail")
        except InputError as error:
            raise InputError([_in_words(problem) for problem in error.problems]) from None
        # The session is a local one.
        tables = [cast("LocalRows", rows.frame).table for rows in (inputs.train, inputs.validation)]
    return {side: (table.column("id"), _labeled(side, table)) for side, table in zip(paths, tables, strict=False)}


def _in_words(problem: Problem) -> Problem:
    """Return a problem with the words of these commands in place of a job's settings."""

    def word(text: str) -> str:
        return SETTING.sub(lambda found: "--" + found[1].replace("_", "-"), text)

    return replace(problem, where=word(problem.where), hint=OF_JOBS.sub("", word(problem.hint)))


def _labeled(side: str, table: pa.Table) -> LabeledRows:
    return LabeledRows.of(side, _embeddings(table.column("embedding")), table.column("label").to_numpy())


def _embeddings(column: pa.ChunkedArray) -> Any:
    """Return the embeddings as a matrix, or as they are where they are none; bytes are float32, as was checked."""
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return embedding_matrix(column.combine_chunks(), np.dtype(np.float32))
    return column
