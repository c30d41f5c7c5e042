"""Files and columns that are no table of embeddings: the hint leads to one."""

from __future__ import annotations

from typing import Any

import pytest

from dvspark.errors import Problem
from dvspark.tables.sources.canonical import canonical_columns
from dvspark.tables.sources.folders import folders_of
from dvspark.tables.sources.other_files import hint_for
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.unreadable import unreadable


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("data/x.npy", "train.embedding_file"),
        ("npy", "train.embedding_file"),
        ("data/rows.jsonl.gz", "set train.format to json"),
        ("data/rows.csv.gz", "set train.format to csv"),
        ("data/x.NPZ", "write the rows as Parquet"),
        ("hf/data-00000-of-00001.arrow", "Dataset.to_parquet"),
        ("cats/1.jpeg", "dvspark.functions.embed"),
    ],
)
def test_hint__says_how_a_file_becomes_a_table(name: str, hint: str) -> None:
    """It was "set train.format to what it is", which no format of Spark is."""
    assert hint in (hint_for("train", name) or "")


@pytest.mark.parametrize("name", ["train.parquet", "part-0", "parqet"])
def test_hint__says_nothing_of_names_that_tell_nothing(name: str) -> None:
    assert hint_for("train", name) is None


def test_folders_of_pictures__are_to_be_embedded() -> None:
    """The hint was to give a folder of its own to each table, which leads to the next refusal."""
    found: Any = folders_of("train table t", ["cat/1.png", "dog/1.png"])
    assert "dvspark.functions.embed" in found[0].hint


def told(*fields: tuple[str, str]) -> Problem:
    """Return the problem of a training table with these columns."""
    given = [("id", "bigint"), ("label", "string"), *fields]
    problems: Any = canonical_columns("train", TableReference("train.parquet"), "class", given, tells_case=True)
    return problems[0]


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("string", "from_json"),
        ("array<bigint>", "dvspark import table"),
        ("array<array<double>>", "dvspark import table"),
        ("struct<values:array<double>>", "dvspark import table"),
        ("double", "one array"),
    ],
)
def test_embeddings_of_other_types__become_arrays(kind: str, hint: str) -> None:
    """The hint was to cast the elements, which text, lists of lists and structs do not have."""
    assert hint in told(("embedding", kind)).hint


def test_a_number_a_column__becomes_one_array() -> None:
    """The hint was to set train.embedding to the name of one of the columns, a number."""
    hint = told(("pixel_0", "float"), *((f"embedding_{n}", "float") for n in range(3)), ("pixel_1", "float")).hint
    assert hint.startswith("put embedding_0, embedding_1, ... into one array")


class RaisedError(Exception):
    """As Spark's errors tell their condition."""

    def getCondition(self) -> str | None:
        """Return the name in brackets; none without, as of most of Java's errors."""
        return str(self)[1:].split("]")[0] if str(self).startswith("[") else None


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ('No FileSystem for scheme "s3"', "write s3a: in place of s3:"),
        ("Class org.apache.hadoop.fs.s3a.S3AFileSystem not found", "hadoop-aws"),
        ("Incomplete HDFS URI, no host: hdfs:///t", "hdfs://HOST/PATH"),
        ("No AWS Credentials provided", "spark.hadoop.*"),
    ],
)
def test_storage_out_of_reach__is_no_matter_of_the_format(said: str, hint: str) -> None:
    """The hint was to set train.format, or to repair the file."""
    assert hint in unreadable("train", TableReference("train.parquet"), RaisedError(said)).hint


def test_errors_of_python__are_told_by_the_end_of_their_traceback() -> None:
    """They were told by "Traceback (most recent call last):" alone."""
    said = "[X] Failed: Traceback (most recent call last):\n  File 1\n    raise\nValueError: no files\n  got: none\n"
    assert unreadable("train", TableReference("t"), RaisedError(said)).got == "ValueError: no files got: none"


def test_a_folder_without_files__is_no_matter_of_the_format() -> None:
    """A stream into whose folder nothing has come yet was told to set validation.format."""
    said = "[UNABLE_TO_INFER_SCHEMA] Unable to infer schema for Parquet."
    assert "stream.schema_ddl" in unreadable("validation", TableReference("t"), RaisedError(said)).hint
