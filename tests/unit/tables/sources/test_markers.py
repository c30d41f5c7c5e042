"""A folder of a Delta, Iceberg or Hudi table, one above or below it, is told from plain files."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvspark.tables.sources.markers import contradiction
from dvspark.tables.sources.plain import look


def _said(place: Path, given: str) -> str:
    seen = look(str(place))
    assert seen is not None
    return str(contradiction("train", str(place), given, seen.inside) or "")


def _table(folder: Path, kind: str) -> Path:
    name = {"delta": "_delta_log/0.json", "iceberg": "metadata/v3.metadata.json", "hudi": ".hoodie/hoodie.properties"}
    for file in (folder / name[kind], folder / "day=1" / "a.parquet"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return folder


@pytest.mark.parametrize("kind", ["delta", "iceberg", "hudi"])
@pytest.mark.parametrize("given", ["parquet", "orc"])
def test_contradiction__files_of_a_table_with_a_log_are_not_its_rows(tmp_path: Path, kind: str, given: str) -> None:
    table = _table(tmp_path / "all" / "t", kind)
    for place in (table, table / "day=1", table / "day=1" / "a.parquet", tmp_path / "all"):
        said = _said(place, given)
        assert f"of format {kind}" in said
        assert (f"train.format: {kind}, and train.path: {table}" in said) == (kind != "hudi")


def test_contradiction__one_kind_of_table_read_as_another(tmp_path: Path) -> None:
    delta, iceberg = _table(tmp_path / "d", "delta"), _table(tmp_path / "i", "iceberg")
    assert "train.format: delta" in _said(delta, "iceberg")
    assert "train.format: iceberg" in _said(iceberg, "delta")
    assert _said(delta, "delta") == _said(iceberg, "iceberg") == ""
    assert _said(iceberg / "metadata" / "v3.metadata.json", "iceberg") == ""
    both = _table(_table(tmp_path / "both", "delta"), "iceberg")  # one that is kept in two formats
    assert _said(both, "delta") == _said(both, "iceberg") == ""


def test_contradiction__a_folder_that_is_called_metadata_is_none(tmp_path: Path) -> None:
    (tmp_path / "t" / "metadata").mkdir(parents=True)
    (tmp_path / "t" / "metadata" / "readme.json").write_text("{}")
    assert _said(tmp_path / "t", "parquet") == ""
