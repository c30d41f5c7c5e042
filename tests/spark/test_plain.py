"""Plain tables as Spark reads them: the rows that are there, each column with one meaning, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import Side, draw_data, write_parquet
from lake_tables import open_catalog, rows_of, write_delta, write_iceberg

import dvspark
from dvspark.config.sources import load_config
from dvspark.errors import DvsparkError, InputError
from dvspark.run import pipeline
from dvspark.tables.sources.read import read_rows
from dvspark.tables.sources.reference import TableReference
from dvspark.tables.sources.rows import Rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

DATA = draw_data(24, 12, seed=8)
TRAIN = DATA.train
WORDS = pa.array([f"w{label}" for label in TRAIN.labels])


def _read(spark: SparkSession, path: Any, **reference: Any) -> Rows | str:
    """Return a table's rows, or what is wrong with it."""
    found = read_rows(spark, "train", TableReference(path=str(path), **reference))
    return found if isinstance(found, Rows) else "\n".join(map(str, found))


def _keys(found: Rows | str, *columns: str) -> list[tuple[Any, ...]]:
    """Return columns of all rows, as tasks see them."""
    assert isinstance(found, Rows), found
    ddl = ", ".join(f"{name} {found.types[name]}" for name in columns)
    table = found.map_batches(lambda batches: batches, list(columns), ddl).toArrow()
    return sorted(zip(*(table[name].to_pylist() for name in columns), strict=True), key=str)


def _write(path: Path, side: Side, drop: tuple[str, ...] = (), **columns: Any) -> None:
    table = pq.read_table(write_parquet(path, side, **columns), partitioning=None)
    pq.write_table(table.drop_columns(list(drop)), path)


def _by_folder(folder: Path, names: dict[str, slice], drop: tuple[str, ...] = ("label",), **columns: Any) -> Path:
    for name, part in names.items():
        _write(folder / name / "a.parquet", TRAIN.take(part), drop, **{c: v[part] for c, v in columns.items()})
    return folder


# --- names of folders -------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (("7", "07"), ["7", "07"]),
        (("2026-01-02", "2026-1-2"), ["2026-01-02", "2026-1-2"]),
        (("1.0", "1"), ["1.0", "1"]),
        (("true", "x%3Dy"), ["true", "x=y"]),
        (("3", "-4"), [3, -4]),
    ],
)
def test_labels__of_folder_names_keep_their_text(
    spark: SparkSession, tmp_path: Path, texts: tuple[str, str], labels: list[Any]
) -> None:
    table = _by_folder(tmp_path / "t", {f"label={texts[0]}": slice(0, 10), f"label={texts[1]}": slice(10, 24)})
    expected = [(row_id, labels[place >= 10]) for place, row_id in enumerate(TRAIN.ids)]
    assert _keys(_read(spark, table), "id", "label") == sorted(expected, key=str)


def test_weights__of_folder_names_are_numbers(spark: SparkSession, tmp_path: Path) -> None:
    table = _by_folder(tmp_path / "t", {"weight=0.5": slice(0, 10), "weight=1e-1": slice(10, 24)}, ())
    expected = [(row_id, 0.1 if place >= 10 else 0.5) for place, row_id in enumerate(TRAIN.ids)]
    assert _keys(_read(spark, table, weight="weight"), "id", "weight") == sorted(expected, key=str)


@pytest.mark.parametrize("agree", [True, False])
@pytest.mark.parametrize("words", [("cat", "dog"), (5, 6)])
def test_labels__in_the_files_and_in_folder_names_are_the_same_or_refused(
    spark: SparkSession, tmp_path: Path, words: tuple[Any, Any], agree: bool
) -> None:
    folders = {f"label={words[0]}": slice(0, 10), f"label={words[1] if agree else '05'}": slice(10, 24)}
    labels = pa.array([words[place >= 10] for place in range(24)])
    found = _read(spark, _by_folder(tmp_path / "t", folders, (), label=labels))
    if agree:
        assert isinstance(found, Rows)
        assert found.files is not None  # whoever reads them
        for rows in (found, replace(found, files=None)):
            assert _keys(rows, "id", "label") == sorted(zip(TRAIN.ids, labels.to_pylist(), strict=True), key=str)
    else:
        assert "one meaning" in str(found)
        assert f"{words[1]!r} in the file label=05/a.parquet" in str(found)


def _nested(folder: Path) -> None:
    write_parquet(folder / "a.parquet", TRAIN.take(slice(0, 12)))
    write_parquet(folder / "more" / "b.parquet", TRAIN.take(slice(12, 24)))


def _half_in_folders(folder: Path) -> None:
    write_parquet(folder / "a.parquet", TRAIN.take(slice(0, 12)))
    write_parquet(folder / "day=1" / "b.parquet", TRAIN.take(slice(12, 24)))


def _all_hidden(folder: Path) -> None:
    write_parquet(folder / "_a.parquet", TRAIN)
    write_parquet(folder / "_old" / "a.parquet", TRAIN)


def _colon(folder: Path) -> None:
    write_parquet(folder / "12:30.parquet", TRAIN)


def _other_case(folder: Path) -> None:
    _write(folder / "a.parquet", TRAIN, Label=WORDS)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (_nested, "pass over"),
        (_half_in_folders, "pass over"),
        (_all_hidden, "2 files, all of them hidden"),
        (_colon, "rename the file"),
        (_other_case, "one column 'label', in whichever case"),
    ],
)
def test_files__that_spark_would_pass_over_or_mistake_are_refused(
    spark: SparkSession, tmp_path: Path, write: Callable[[Path], None], said: str
) -> None:
    write(tmp_path / "t")
    assert said in str(_read(spark, tmp_path / "t"))


def test_file__that_is_hidden_is_told_as_such(spark: SparkSession, tmp_path: Path) -> None:
    write_parquet(tmp_path / ".t.parquet", TRAIN)
    assert "a file that Spark reads" in str(_read(spark, tmp_path / ".t.parquet"))


@pytest.mark.parametrize("name", ["t[ab]", "t{a,b}", "t*", "ta?", "t\\a", "_t", "t:a", "t %41#"])
@pytest.mark.parametrize("inside", [True, False], ids=["folder", "file"])
def test_path__is_taken_as_it_is_given(spark: SparkSession, tmp_path: Path, name: str, inside: bool) -> None:
    if not inside and name in ("_t", "t:a"):
        name = f"x{name}".replace(":", "")
    for other in ("ta", "tb", "tab", "t A"):
        write_parquet(tmp_path / other / "a.parquet" if inside else tmp_path / other, DATA.validation)
    path = tmp_path / name
    write_parquet(path / "a.parquet" if inside else path, TRAIN)
    found = _read(spark, path)
    assert isinstance(found, Rows), found
    for rows in (found, replace(found, files=None)):
        assert [row_id for (row_id,) in _keys(rows, "id")] == sorted(TRAIN.ids, key=lambda one: str((one,)))


@pytest.mark.parametrize("goes", [True, False])
def test_folder__that_somebody_writes_to_meanwhile_is_refused(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goes: bool
) -> None:
    from dvspark.tables.sources import plain

    folder = tmp_path / "train"
    folder.mkdir()
    for name, part in {"a": slice(0, 12), "b": slice(12, 24)}.items():
        write_parquet(folder / f"{name}.parquet", TRAIN.take(part))
    look = plain.look

    def looked(place: str) -> Any:
        seen = look(place)
        if goes:
            (folder / "b.parquet").unlink()
        else:
            write_parquet(folder / "c.parquet", TRAIN.take(slice(0, 3)))
        return seen

    monkeypatch.setattr(plain, "look", looked)
    listed = "1 of 2" if goes else "3 of 2"
    found = _read(spark, folder)
    assert isinstance(found, str)
    assert "a folder of which Spark lists every file" in found
    assert listed in found


def test_path__that_fits_other_files_only_is_no_table(spark: SparkSession, tmp_path: Path) -> None:
    write_parquet(tmp_path / "ta.parquet", TRAIN)
    assert "a table that exists" in str(_read(spark, tmp_path / "t*.parquet"))


# --- tables with a log ------------------------------------------------------------------------------------


def test_lake_tables__read_as_files_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    days = rows_of(TRAIN, day=["mon", "tue"] * 12)
    delta = Path(write_delta(tmp_path / "delta", days, partition_by=["day"]))
    iceberg = write_iceberg(open_catalog(tmp_path / "iceberg"), "train", rows_of(TRAIN))
    place = Path(iceberg.location().removeprefix("file://"))
    for path in (delta, delta / "day=mon"):
        assert f"train.format: delta, and train.path: {delta}" in str(_read(spark, path))
    for path in (place, place / "data"):
        assert f"train.format: iceberg, and train.path: {place}" in str(_read(spark, path))
    assert "train.format: delta" in str(_read(spark, delta, format="iceberg"))


def test_delta__a_column_that_files_hold_otherwise_than_the_log_is_the_logs(
    spark: SparkSession, tmp_path: Path
) -> None:
    labels = pa.array(["old"] * 12 + ["new"] * 12)
    table = Path(
        write_delta(tmp_path / "t", rows_of(replace(TRAIN, labels=labels.to_pylist())), partition_by=["label"])
    )
    for path in table.glob("label=*/*.parquet"):  # as some writers do
        rows = pq.read_table(path, partitioning=None)
        pq.write_table(rows.append_column("label", pa.array(["wrong"] * len(rows))), path)
    assert {label for (label,) in _keys(_read(spark, table, format="delta"), "label")} == {"old", "new"}


def test_metadata__beside_the_data_holds_no_rows(spark: SparkSession, tmp_path: Path) -> None:
    seen: list[Any] = []
    for place, part in enumerate((slice(0, 9), slice(9, 24))):
        path = write_parquet(tmp_path / "t" / f"{place}.parquet", TRAIN.take(part))
        seen.append(pq.read_metadata(path))
        seen[-1].set_file_path(f"{place}.parquet")
    for name in ("_metadata", "_common_metadata"):
        pq.write_metadata(seen[0].schema.to_arrow_schema(), tmp_path / "t" / name, metadata_collector=seen)
    found = _read(spark, tmp_path / "t")
    assert len(_keys(found, "id")) == len(_keys(replace(found, files=None), "id")) == 24  # type: ignore[type-var]


# --- columns and settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize("narrow_first", [False, True])
def test_columns__that_are_wider_in_some_files_are_read_as_the_widest(
    spark: SparkSession, tmp_path: Path, *, narrow_first: bool
) -> None:
    kinds = [(pa.int32(), pa.int16(), pa.float32()), (pa.int64(), pa.int64(), pa.float64())]
    for name, part, (of_id, of_label, of_number) in zip(
        "ab", (slice(0, 9), slice(9, 24)), kinds if narrow_first else kinds[::-1], strict=True
    ):
        rows = TRAIN.take(part)
        x = pa.array([row.tolist() for row in rows.x.astype(np.float32)], pa.list_(of_number))
        ids, labels = (pa.array(np.arange(24)[part], of_id), pa.array(np.arange(24)[part] % 3, of_label))
        pq.write_table(pa.table({"id": ids, "embedding": x, "label": labels}), tmp_path / f"{name}.parquet")
    found = _read(spark, tmp_path)
    assert isinstance(found, Rows), found
    assert found.types == {"id": "bigint", "embedding": "array<double>", "label": "bigint"}
    told = _keys(found, "id", "label", "embedding")
    assert sorted(row[:2] for row in told) == [(row, row % 3) for row in range(24)]
    by_id = {row[0]: row[2] for row in told}
    np.testing.assert_array_equal([by_id[row] for row in range(24)], TRAIN.x.astype(np.float32))


def test_columns__that_are_not_used_are_not_looked_at(spark: SparkSession, tmp_path: Path) -> None:
    columns = {
        "seen": pa.array([1] * 24, pa.timestamp("ns")),
        "clock": pa.array([1] * 24, pa.time64("ns")),
        "half": pa.array([np.float16(1)] * 24, pa.float16()),
        **{f"c{number}": pa.array([number % 9] * 24, pa.int8()) for number in range(3_000)},
    }
    write_parquet(tmp_path / "t.parquet", TRAIN, **columns)
    found = _read(spark, tmp_path / "t.parquet")
    assert _keys(found, "id") == _keys(replace(found, files=None), "id")  # type: ignore[type-var]
    assert found.frame.columns == ["id", "embedding", "label"]  # type: ignore[union-attr]


SETTINGS = {
    "spark.sql.execution.arrow.useLargeVarTypes": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "0",
    "spark.sql.execution.arrow.maxBytesPerBatch": "100",
    "spark.sql.execution.arrow.pyspark.selfDestruct.enabled": "true",
    "spark.sql.execution.arrow.maxRecordsPerOutputBatch": "1",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
    "spark.sql.parquet.mergeSchema": "true",
    "spark.sql.parquet.binaryAsString": "true",
    "spark.sql.parser.quotedRegexColumnNames": "true",
    "spark.sql.ansi.enforceReservedKeywords": "true",
    "spark.sql.caseSensitive": "true",
    "spark.sql.session.timeZone": "Asia/Kathmandu",
    "spark.sql.sources.useV1SourceList": "",
    "spark.sql.files.ignoreCorruptFiles": "true",
}


def _job(spark: SparkSession, folder: Path, **settings: Any) -> pa.Table:
    given = {side: {"path": f"{folder}/{side}"} for side in ("train", "validation")}
    given["train"] |= settings.pop("train", {})
    config = load_config(None, {**given, "output": {"path": f"{folder}/out"}, "k": 3, "report": False, **settings})
    record = pipeline.run(config, spark)
    return pq.read_table(f"{folder}/out/values/run_id={record['run_id']}", partitioning=None).sort_by("id")


@pytest.mark.long
@pytest.mark.parametrize("plan", ["replicated", "sharded"])
def test_job__has_the_same_bits_under_any_settings_of_the_session(
    spark: SparkSession, tmp_path: Path, plan: str
) -> None:
    ids = [f"row {number}" for number in TRAIN.ids]
    x = pa.array([row.astype("<f4").tobytes() for row in TRAIN.x], pa.binary())
    write_parquet(tmp_path / "train" / "a.parquet", replace(TRAIN, ids=ids), embedding=x, label=WORDS)
    labels = pa.array([f"w{label}" for label in DATA.validation.labels])
    write_parquet(tmp_path / "validation" / "a.parquet", DATA.validation, label=labels)
    more = {"plan": plan, "work_dir": f"{tmp_path}/work"}
    before = _job(spark, tmp_path, run_id="before", **more)
    for key, value in SETTINGS.items():
        spark.conf.set(key, value)
    after = _job(spark, tmp_path, run_id="after", **more)
    assert after.equals(before)
    assert {key: spark.conf.get(key) for key in SETTINGS} == SETTINGS
    expected = dvspark.value_arrays(TRAIN.x, WORDS, DATA.validation.x, labels, k=3, train_ids=ids)
    by_id = dict(zip(ids, expected, strict=True))
    np.testing.assert_allclose(after["value"], [by_id[i] for i in after["id"].to_pylist()], rtol=0, atol=1e-12)


@pytest.mark.parametrize("how", ["cut", "pages"])
def test_job__names_a_file_that_is_damaged_whatever_the_session_ignores(
    spark: SparkSession, tmp_path: Path, how: str
) -> None:
    write_parquet(tmp_path / "train" / "a.parquet", TRAIN.take(slice(0, 12)))
    path = Path(write_parquet(tmp_path / "train" / "b.parquet", TRAIN.take(slice(12, 24))))
    write_parquet(tmp_path / "validation" / "a.parquet", DATA.validation)
    content = path.read_bytes()
    path.write_bytes(content[:-40] if how == "cut" else content[:4] + b"\xff" * 300 + content[304:])
    spark.conf.set("spark.sql.files.ignoreCorruptFiles", "true")
    spark.conf.set("spark.sql.files.ignoreMissingFiles", "true")
    with pytest.raises(InputError, match=r"b\.parquet"):
        _job(spark, tmp_path)
    assert not (tmp_path / "out" / "values").exists()


@pytest.mark.long
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_bytes__of_a_declared_type_are_its_numbers_and_undeclared_they_are_refused(
    spark: SparkSession, tmp_path: Path, dtype: str
) -> None:
    held = pa.array([row.astype(dtype).tobytes() for row in TRAIN.x], pa.binary())
    write_parquet(tmp_path / "train" / "a.parquet", TRAIN, embedding=held)
    write_parquet(tmp_path / "validation" / "a.parquet", DATA.validation)
    with pytest.raises(InputError, match=r"train\.embedding_dtype"):
        _job(spark, tmp_path)
    values = _job(spark, tmp_path, train={"embedding_dtype": dtype})
    x, points = TRAIN.x.astype(dtype).astype(np.float64), DATA.validation
    expected = dvspark.value_arrays(x, TRAIN.labels, points.x, points.labels, k=3, train_ids=TRAIN.ids)
    by_id = dict(zip(TRAIN.ids, expected, strict=True))
    np.testing.assert_allclose(values["value"], [by_id[i] for i in values["id"].to_pylist()], rtol=0, atol=1e-9)


@pytest.mark.parametrize("on_bad_row", ["fail", "reject"])
@pytest.mark.parametrize("role", ["id", "label"])
def test_text__that_is_not_utf8_is_named_with_its_row(
    spark: SparkSession, tmp_path: Path, role: str, on_bad_row: str
) -> None:
    words = [f"{role}{place % (24 if role == 'id' else 3)}".encode() for place in range(23)] + [b"caf\xe9"]
    write_parquet(tmp_path / "train" / "a.parquet", TRAIN, **{role: pa.array(words, pa.binary()).view(pa.string())})
    labels = DATA.validation.labels if role == "id" else pa.array([f"label{i % 3}" for i in range(12)])
    write_parquet(tmp_path / "validation" / "a.parquet", DATA.validation, label=labels)
    if on_bad_row == "reject":
        assert len(_job(spark, tmp_path, on_bad_row="reject", run_id="run")) == 23
        (rejected,) = pq.read_table(tmp_path / "out" / "rejected" / "run_id=run", partitioning=None).to_pylist()
        assert rejected["reason"] == f"{role} is not UTF-8"
        return
    row = r"'caf\\xe9'" if role == "id" else repr(str(TRAIN.ids[23]))
    with pytest.raises(DvsparkError) as refusal:
        _job(spark, tmp_path)
    assert f"{role} is not UTF-8 in 1 rows; the first: {row}" in str(refusal.value)
    assert refusal.value.exit_code == InputError.exit_code


@pytest.mark.parametrize("low", [0, -1])
def test_labels__of_one_hot_columns_are_refused(spark: SparkSession, tmp_path: Path, low: int) -> None:
    def hot(labels: list[int]) -> pa.Array:
        return pa.array([[1 if one == label else low for one in range(7)] for label in labels], pa.list_(pa.int8()))

    write_parquet(tmp_path / "train" / "a.parquet", TRAIN, label=hot(TRAIN.labels))
    write_parquet(tmp_path / "validation" / "a.parquet", DATA.validation, label=hot(DATA.validation.labels))
    with pytest.raises(InputError, match="argmax") as refusal:
        _job(spark, tmp_path)
    assert {problem.where for problem in refusal.value.problems} == {"train labels", "validation labels"}
