"""The demo's files hold what their README says, and the draw repeats itself."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dvspark.demo import draw_sample

FOLDER = Path(draw_sample.__file__).parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")
FILE_LINE = re.compile(
    r"^\| `(?P<name>\w+)\.parquet` \| (?P<rows>\d+) \| (?P<owners>\d+) \| (?P<labels>\d+)"
    r" \| (?P<size>\d+) \| `(?P<sha256>[0-9a-f]{64})` \|$",
    re.MULTILINE,
)
STATED = {match["name"]: match for match in FILE_LINE.finditer(README)}
SIDES = ("train", "validation")


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return {side: pq.read_table(FOLDER / f"{side}.parquet") for side in SIDES}


def column(table: pa.Table, name: str) -> list[str]:
    return table.column(name).to_pylist()


def matrix(table: pa.Table) -> np.ndarray:
    lists = table.column("embedding")
    assert set(pc.list_value_length(lists).to_pylist()) == {384}
    return pc.list_flatten(lists).to_numpy().reshape(-1, 384)


def test_readme_states_both_files() -> None:
    assert tuple(STATED) == SIDES


@pytest.mark.parametrize("side", SIDES)
def test_bytes_are_those_of_the_readme(side: str) -> None:
    content = (FOLDER / f"{side}.parquet").read_bytes()
    assert len(content) == int(STATED[side]["size"])
    assert hashlib.sha256(content).hexdigest() == STATED[side]["sha256"]


def test_files_are_small() -> None:
    assert sum((FOLDER / f"{side}.parquet").stat().st_size for side in SIDES) < 10_000_000


@pytest.mark.parametrize(("side", "rows"), [("train", 8_000), ("validation", 2_000)])
def test_counts_are_those_of_the_readme(tables: dict[str, pa.Table], side: str, rows: int) -> None:
    table = tables[side]
    assert table.num_rows == rows == int(STATED[side]["rows"])
    assert len(set(column(table, "owner"))) == int(STATED[side]["owners"])
    assert len(set(column(table, "label"))) == int(STATED[side]["labels"])


@pytest.mark.parametrize("side", SIDES)
def test_schema_allows_no_nulls_and_there_are_none(tables: dict[str, pa.Table], side: str) -> None:
    table = tables[side]
    assert table.schema.names == ["id", "embedding", "label", "owner"]
    assert [field.nullable for field in table.schema] == [False] * 4
    embedding = table.schema.field("embedding").type
    assert embedding.value_type == pa.float32()
    assert not embedding.value_field.nullable
    assert {table.schema.field(name).type for name in ("id", "label", "owner")} == {pa.string()}
    assert [table.column(name).null_count for name in table.schema.names] == [0] * 4
    assert pc.list_flatten(table.column("embedding")).null_count == 0
    assert "" not in column(table, "id") + column(table, "label") + column(table, "owner")


@pytest.mark.parametrize("side", SIDES)
def test_spark_can_split_and_decode_the_file(side: str) -> None:
    metadata = pq.ParquetFile(FOLDER / f"{side}.parquet").metadata
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        assert group.num_rows == 2_000
        for position in range(group.num_columns):
            assert group.column(position).compression == "ZSTD"
            assert set(group.column(position).encodings) <= {"PLAIN", "RLE", "RLE_DICTIONARY"}


def test_ids_are_sorted_unique_and_disjoint(tables: dict[str, pa.Table]) -> None:
    ids = {side: column(table, "id") for side, table in tables.items()}
    for names in ids.values():
        assert names == sorted(set(names))
    assert not set(ids["train"]) & set(ids["validation"])


def test_no_source_package_is_on_both_sides(tables: dict[str, pa.Table]) -> None:
    assert not set(column(tables["train"], "owner")) & set(column(tables["validation"], "owner"))


def test_both_sides_have_the_same_labels_each_often_enough(tables: dict[str, pa.Table]) -> None:
    exceptions = {"zope", "news", "education", "embedded"}
    for side, floor, least in (("train", 24, 12), ("validation", 6, 3)):
        names, counts = np.unique(column(tables[side], "label"), return_counts=True)
        few = {str(name) for name, count in zip(names, counts, strict=True) if count < floor}
        assert few == exceptions
        assert counts.min() == least
    assert set(column(tables["train"], "label")) == set(column(tables["validation"], "label"))


def test_embeddings_are_distinct_unit_vectors_of_float16_values(tables: dict[str, pa.Table]) -> None:
    values = np.concatenate([matrix(tables[side]) for side in SIDES])
    norms = np.linalg.norm(values.astype(np.float64), axis=1)
    assert 0.99992 <= norms.min() <= norms.max() <= 1.00008
    assert np.array_equal(values.astype(np.float16).astype(np.float32), values)
    assert len(np.unique(values, axis=0)) == len(values)


def test_rows_that_the_readme_names_have_the_labels_it_states(tables: dict[str, pa.Table]) -> None:
    section = README.partition("## Label noise")[2]
    named = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", section, re.MULTILINE)
    labels = dict(zip(column(tables["train"], "id"), column(tables["train"], "label"), strict=True))
    assert len(named) == 3
    assert {name: labels[name] for name, _ in named} == dict(named)
    assert {labels[name] for name in ("r-doc-info", "r-doc-html", "r-doc-pdf")} == {"doc"}


class Row(NamedTuple):
    package: str
    source: str
    label: int


def write_npz(path: Path, rows: list[Row]) -> Path:
    vectors = np.zeros((len(rows), 384), dtype=np.float16)
    for index, row in enumerate(rows):
        vectors[index, int(row.package[1:]) % 384] = 1
    np.savez(
        path,
        X=vectors,
        y=np.array([row.label for row in rows], dtype=np.int32),
        classes=np.array(["common", "only in one source", "rare"]),
        package=np.array([row.package for row in rows]),
        source=np.array([row.source for row in rows]),
    )
    return path


@pytest.fixture
def small_rows(monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """300 rows: sources of three, two rare ones of one, and one too large to draw.

    The sides are one more than a multiple of three, so that whole sources can fill them.
    """
    monkeypatch.setattr(draw_sample, "SIDE_ROWS", {"train": 79, "validation": 19})
    rows = [Row(f"p{i}", f"s{i // 3}", 0) for i in range(240)]
    rows += [Row("p240", "rare-a", 2), Row("p241", "rare-b", 2)]
    rows += [Row(f"p{i}", "large", 1) for i in range(242, 300)]
    return rows


def test_draw_repeats_itself_whatever_the_order_of_the_rows(small_rows: list[Row], tmp_path: Path) -> None:
    draw_sample.draw(write_npz(tmp_path / "a.npz", small_rows), tmp_path / "a")
    draw_sample.draw(write_npz(tmp_path / "b.npz", small_rows[::-1]), tmp_path / "b")
    for side in SIDES:
        name = f"{side}.parquet"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_draw_takes_whole_sources_and_rare_labels_for_both_sides(small_rows: list[Row], tmp_path: Path) -> None:
    drawn = draw_sample.draw(write_npz(tmp_path / "a.npz", small_rows), tmp_path)
    assert [drawn[side].num_rows for side in SIDES] == [79, 19]
    for side in SIDES:
        owners = column(drawn[side], "owner")
        assert set(column(drawn[side], "label")) == {"common", "rare"}
        for owner in set(owners):
            assert owners.count(owner) == sum(row.source == owner for row in small_rows)


def test_draw_refuses_an_input_that_is_too_small(small_rows: list[Row], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be filled"):
        draw_sample.draw(write_npz(tmp_path / "a.npz", small_rows[:30]), tmp_path)
