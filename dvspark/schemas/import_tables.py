"""Tables of imports: what is said of lines that are set aside."""

from __future__ import annotations

from dvspark.schemas.tables import Column, Table

BAD_LINES = Table(
    "bad_lines",
    "what `dvspark import` writes under rejected/: one row for each line, or row, of a file that is set aside",
    (
        Column("file", "string", "the file's name"),
        Column("line", "bigint", "the number of its line, or row, from 1; null where the reader does not tell"),
        Column("reason", "string", "what is wrong with it"),
        Column("text", "string", "what was found: the part that is wrong, or how the line begins"),
    ),
)
