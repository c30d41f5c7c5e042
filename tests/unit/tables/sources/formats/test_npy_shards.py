"""NumPy shards: what is refused, what parts hold, and that mapped numbers reach Arrow without a copy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from npy_folders import write_shards

from dvspark.errors import InputError
from dvspark.tables.sources.formats.npy_shards import shards_of
from dvspark.tables.sources.parts import lists

X = np.random.default_rng(0).standard_normal((40, 5)).astype(np.float32)
COLUMNS = {"key": [f"{row:05}" for row in range(40)], "caption": [f"word {row % 3}" for row in range(40)]}


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8"])
def test_parts__hold_all_rows_in_order(dtype: str, tmp_path: Path) -> None:
    x = X.astype(dtype)
    shards = shards_of(str(write_shards(tmp_path, x, COLUMNS, [11, 20, 9])))
    batches = [batch for shard in shards for part in shard.parts("e", ["key"]) for batch in part.stored(["e", "key"])]
    table = pa.Table.from_batches(batches)
    assert table["key"].to_pylist() == COLUMNS["key"]
    np.testing.assert_array_equal(table["e"].combine_chunks().flatten().to_numpy().reshape(40, 5), x)


def test_embeddings__reach_arrow_without_a_copy(tmp_path: Path) -> None:
    (shard,) = shards_of(str(write_shards(tmp_path, X, COLUMNS, [40])))
    mapped = np.load(shard.numbers.path, mmap_mode="r")
    start = mapped.ctypes.data
    assert lists(mapped[3:9]).flatten().buffers()[1].address == start + 3 * 5 * 4
    # The part maps the file again; the kernel knows which file an address belongs to.
    (part,) = shard.parts("e", [])
    (batch,) = part.stored(["e"])
    address = batch.column("e").flatten().buffers()[1].address
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if "img_emb_0.npy" in line]
    spans = [[int(end, 16) for end in line[0].split("-")] for line in lines]
    assert any(first <= address < last for first, last in spans)


def test_number_of_files__must_agree(tmp_path: Path) -> None:
    write_shards(tmp_path, X, COLUMNS, [20, 20])
    (tmp_path / "metadata" / "metadata_1.parquet").unlink()
    with pytest.raises(InputError, match="2 and 1"):
        shards_of(str(tmp_path))


def test_rows__must_agree_and_all_problems_are_told(tmp_path: Path) -> None:
    write_shards(tmp_path, X, COLUMNS, [20, 20])
    np.save(tmp_path / "img_emb" / "img_emb_1.npy", X[:19, :4].astype(np.float64))
    with pytest.raises(InputError) as told:
        shards_of(str(tmp_path))
    assert len(told.value.problems) == 2
    assert "20 rows, as in metadata_1.parquet" in str(told.value)
    assert "5 numbers of float32 a row, as in img_emb_0.npy" in str(told.value)


def test_shards_of_other_numbers__are_not_taken_for_one_another(tmp_path: Path) -> None:
    write_shards(tmp_path, X, COLUMNS, [20, 20])
    (tmp_path / "metadata" / "metadata_0.parquet").rename(tmp_path / "metadata" / "metadata_7.parquet")
    with pytest.raises(InputError, match=r"img_emb_0.npy beside metadata_1.parquet"):
        shards_of(str(tmp_path))


def test_folders__of_other_names_and_elsewhere(tmp_path: Path) -> None:
    write_shards(tmp_path / "given", X, COLUMNS, [40])
    (tmp_path / "given" / "img_emb").rename(tmp_path / "given" / "text_emb")
    assert len(shards_of(str(tmp_path / "given"))) == 1
    (tmp_path / "given" / "metadata").rename(tmp_path / "rows")
    assert len(shards_of(str(tmp_path / "given"), metadata=str(tmp_path / "rows"))) == 1
    with pytest.raises(InputError, match="metadata"):
        shards_of(str(tmp_path / "given"))


def test_damaged_metadata__is_told(tmp_path: Path) -> None:
    write_shards(tmp_path, X, COLUMNS, [40])
    (tmp_path / "metadata" / "metadata_0.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"metadata_0\.parquet"):
        shards_of(str(tmp_path))


def test_types_without_a_name_in_spark__are_left_out(tmp_path: Path) -> None:
    write_shards(tmp_path, X, COLUMNS, [40])
    table = pq.read_table(tmp_path / "metadata" / "metadata_0.parquet")
    nested = pa.array([{"a": 1}] * 40)
    pq.write_table(table.append_column("more", nested), tmp_path / "metadata" / "metadata_0.parquet")
    (shard,) = shards_of(str(tmp_path))
    assert sum(part.n_rows for part in shard.parts("e", ["key"])) == 40
