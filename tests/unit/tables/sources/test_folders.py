"""What the names of a plain table's folders tell of its rows, and what is refused in them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark.errors import Problem
from dvspark.tables.sources.folders import Folders, below, folders_of, literal, twins, unescaped


def _folders(*files: str) -> Folders:
    found = folders_of("train table t", files)
    assert isinstance(found, Folders), found
    return found


def _refusal(*files: str) -> str:
    found = folders_of("train table t", files)
    assert isinstance(found, list)
    return str(found[0])


def test_folders_of__keeps_the_text_of_each_file() -> None:
    found = _folders("day=1/label=x%3Dy/a.parquet", "day=__HIVE_DEFAULT_PARTITION__/label=a b/b.parquet")
    assert found.values == {"day": ["1", None], "label": ["x=y", "a b"]}


@pytest.mark.parametrize(
    ("texts", "as_number", "kind"),
    [
        (["1", "-20", "0"], False, "bigint"),
        (["1", "__HIVE_DEFAULT_PARTITION__"], False, "bigint"),
        (["007", "7"], False, "string"),
        (["-0"], False, "string"),
        (["1.0", "1"], False, "string"),
        (["1e3"], False, "string"),
        (["2026-01-02"], False, "string"),
        (["true"], False, "string"),
        (["9" * 19], False, "string"),
        (["0.5", "1e-3"], True, "double"),
        (["0.5", "half"], True, "string"),
        (["__HIVE_DEFAULT_PARTITION__"], False, "string"),
    ],
)
def test_folders__a_name_is_a_number_only_where_the_number_has_its_text(
    texts: list[str], as_number: bool, kind: str
) -> None:
    found = _folders(*(f"c={text}/{place}.parquet" for place, text in enumerate(texts)))
    assert found.kind("c", as_number=as_number) == kind


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["a.parquet", "more/b.parquet"], "pass over"),
        (["a.parquet", "label=1/b.parquet"], "pass over"),
        (["more/a.parquet"], "pass over"),
        (["day=1/a.parquet", "week=1/b.parquet"], "pass over"),
        (["day=1/a.parquet", "day=1/hour=2/b.parquet"], "pass over"),
        (["day=1/x/a.parquet"], "pass over"),
        (["label=/a.parquet"], "pass over"),
        (["c=1/C=2/a.parquet"], "one name a column"),
        (["label=%C3%A9/a.parquet"], "escapes of UTF-8"),
        (["12:30.parquet"], "without a colon"),
    ],
)
def test_folders_of__refuses_what_spark_would_leave_out_or_take_for_another(files: list[str], said: str) -> None:
    assert said in _refusal(*files)


@pytest.mark.parametrize(
    ("place", "uris", "names"),
    [
        ("/t", ["file:///t/c=1/a%20b.parquet"], ["c=1/a b.parquet"]),
        ("/t/", ["file:/t/a.parquet", "file:/t/%25.parquet"], ["%.parquet", "a.parquet"]),
        ("/x/../t", ["file:///t/a.parquet"], ["a.parquet"]),
        ("t", ["hdfs://h/user/me/t/c=t/a.parquet"], ["c=t/a.parquet"]),
        ("s3a://bucket/t", ["s3a://bucket/t/a.parquet"], ["a.parquet"]),
        ("file:///t/a.parquet", ["file:///t/a.parquet"], ["a.parquet"]),
    ],
)
def test_below__is_the_path_within_the_table(place: str, uris: list[str], names: list[str]) -> None:
    assert below(place, uris) == names


@given(st.text("ab*?[]{}\\,^-/", max_size=12))
def test_literal__escapes_all_of_which_patterns_are_made(path: str) -> None:
    escaped = literal(path)
    assert re.sub(r"\\(.)", r"\1", escaped) == path
    assert re.fullmatch(r"(?:[^\\{}\[\]*?]|\\[\\{}\[\]*?])*", escaped)


def test_unescaped__is_what_spark_reads() -> None:
    assert unescaped("a%2Fb%25%zz%") == "a/b%%zz%"


def test_twins__are_columns_that_spark_might_take_for_one_that_is_used() -> None:
    found: list[Any] = list(twins("t", ["id", "label"], ["id", "ID", "label", "other", "Other"]))
    assert [type(one) for one in found] == [Problem]
    assert "'id', 'ID'" in found[0].got
    assert not list(twins("t", ["id"], ["Id"]))
