"""Bad and hostile inputs by the command line: each its exit code and message, none a stack trace or a half result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from oracles import exact_values, reference_values

pytestmark = pytest.mark.spark

Command = Callable[..., int]

CONFIG, INPUT, CONFLICT, COMPUTE = 2, 3, 4, 5
X = [[0.0, 1.0], [2.0, 0.0], [1.0, 1.0], [3.0, 2.0], [-1.0, 4.0], [5.0, 0.0]]
IDS = ["a", "b", "c", "d", "e", "f"]
LABELS = ["x", "y", "x", "y", "x", "y"]
VALIDATION = {"id": ["v", "w"], "embedding": [[1.0, 0.0], [0.0, 3.0]], "label": ["x", "y"]}
FLOATS = pa.list_(pa.float32())
DOUBLES = pa.list_(pa.float64())


def _table(**changed: Any) -> pa.Table:
    """Return six good rows, columns replaced, added, or left out where they are None."""
    columns = {"id": IDS, "embedding": pa.array(X, FLOATS), "label": LABELS, **changed}
    return pa.table({name: column for name, column in columns.items() if column is not None})


def _validation(**changed: Any) -> pa.Table:
    columns = {**VALIDATION, "embedding": pa.array(VALIDATION["embedding"], FLOATS), **changed}
    return pa.table({name: column for name, column in columns.items() if column is not None})


# --- how inputs are made ----------------------------------------------------------------------------------


def _rows(*more: Any, validation: pa.Table | None = None, **changed: Any) -> Callable[[Path], list[Any]]:
    """Return what writes two tables, columns of the training rows replaced, and gives the words for them."""

    def make(folder: Path) -> list[Any]:
        pq.write_table(_table(**changed), folder / "train.parquet")
        pq.write_table(_validation() if validation is None else validation, folder / "validation.parquet")
        return _words(folder, *more)

    return make


def _words(folder: Path, *more: Any, train: str = "train.parquet") -> list[Any]:
    places = ["--train", folder / train, "--validation", folder / "validation.parquet"]
    return [*places, "--output", folder / "out", "--run_id", "run", "--report", "false", *more]


def _file(content: Callable[[bytes], bytes], *more: Any) -> Callable[[Path], list[Any]]:
    """Return what writes good tables, and the training rows' file changed byte by byte."""

    def make(folder: Path) -> list[Any]:
        words = _rows(*more)(folder)
        path = folder / "train.parquet"
        path.write_bytes(content(path.read_bytes()))
        return words

    return make


def _files(*tables: pa.Table | bytes) -> Callable[[Path], list[Any]]:
    """Return what writes a folder of files as the training rows."""

    def make(folder: Path) -> list[Any]:
        pq.write_table(_validation(), folder / "validation.parquet")
        (folder / "train").mkdir()
        for number, table in enumerate(tables):
            path = folder / "train" / f"part-{number}.parquet"
            if isinstance(table, bytes):
                path.write_bytes(table)
            else:
                pq.write_table(table, path)
        return _words(folder, train="train")

    return make


def _at(place: str) -> Callable[[Path], list[Any]]:
    """Return what names another place for the training rows."""
    return lambda folder: [*_rows()(folder), "--train", place.replace("FOLDER", str(folder))]


def _half(**changed: Any) -> pa.Table:
    """Return six more rows for a second file."""
    return _table(**{"id": ["g", "h", "i", "j", "k", "l"], **changed})


def _damaged_pages(content: bytes) -> bytes:
    """Return a file whose footer is whole and whose pages are not."""
    return content[:4] + b"\xff" * (len(content) // 3) + content[4 + len(content) // 3 :]


def _doubled_column() -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.Table.from_arrays([*_table().columns, pa.array(IDS)], names=["id", "embedding", "label", "id"])
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def _published(damage: Callable[[Path], object], *more: Any) -> Callable[..., list[Any]]:
    """Return what lays a damaged run where this one would be published."""

    def make(folder: Path) -> list[Any]:
        words = _rows()(folder)
        (folder / "out" / "runs" / "run").mkdir(parents=True)
        damage(folder / "out")
        return [*words, *more]

    return make


TRUNCATED = pa.BufferOutputStream()
pq.write_table(_half(), TRUNCATED)
GOOD_FILE = TRUNCATED.getvalue().to_pybytes()
BINARY = [np.array(row, "<f4").tobytes() for row in X]

# Name of the case: (how it is made, exit code, a part of the message).
BAD: dict[str, tuple[Callable[[Path], list[Any]], int, str]] = {
    # files
    "no such file": (_at("FOLDER/none.parquet"), INPUT, "a table that exists"),
    "no such folder": (_at("FOLDER/none/of/them"), INPUT, "a table that exists"),
    "an empty name": (_at(""), CONFIG, "train.path"),
    "no file fits the pattern": (_at("FOLDER/*.orc"), INPUT, "a table that exists"),
    "an unknown scheme": (_at("nowhere://bucket/t"), INPUT, "nowhere"),
    "a line break in the path": (_at("FOLDER/a\nb"), INPUT, "a table that exists"),
    "zero bytes": (_file(lambda content: b""), INPUT, "train.parquet"),
    "cut in half": (_file(lambda content: content[: len(content) // 2]), INPUT, "train.parquet"),
    "cut off its footer": (_file(lambda content: content[:-8]), INPUT, "train.parquet"),
    "one byte short": (_file(lambda content: content[:-1]), INPUT, "train.parquet"),
    "only the magic": (_file(lambda content: b"PAR1PAR1"), INPUT, "train.parquet"),
    "another magic": (_file(lambda content: content[:-4] + b"PAR9"), INPUT, "train.parquet"),
    "an encrypted footer": (_file(lambda content: content[:-4] + b"PARE"), INPUT, "train.parquet"),
    "a footer longer than the file": (_file(lambda content: content[:-8] + b"\xff\xff\xff\x7fPAR1"), INPUT, "train"),
    "a footer of noise": (_file(lambda content: content[:-60] + b"\x15" * 52 + content[-8:]), INPUT, "train.parquet"),
    "damaged pages": (_file(_damaged_pages), INPUT, "train.parquet"),
    "text": (_file(lambda content: b"id,embedding,label\na,1,x\n" * 9), INPUT, "train.parquet"),
    "another format than said": (_rows("--train.format", "orc"), INPUT, "orc"),
    "rows of JSON": (_rows("--train.format", "json"), INPUT, "set train.format to what it is"),
    "an unknown format": (_rows("--train.format", "exel"), INPUT, "exel"),
    "an empty folder": (_files(), INPUT, "a readable parquet table"),
    "a second file without bytes": (_files(_table(), b""), INPUT, "part-1.parquet without a byte"),
    "a second file cut short": (_files(_table(), GOOD_FILE[:300]), INPUT, "part-1.parquet"),
    "a second file of text": (_files(_table(), b"# read me\n" * 20), INPUT, "part-1.parquet"),
    "labels of another type in a second file": (_files(_table(), _half(label=[1] * 6)), INPUT, "part-"),
    "ids of another type in a second file": (_files(_table(), _half(id=range(6))), INPUT, "part-"),
    "embeddings of words in a second file": (_files(_table(), _half(embedding=[["x"]] * 6)), INPUT, "part-"),
    "no labels in a second file": (_files(_table(), _half(label=None)), INPUT, "label is null in 6 rows"),
    "no such Spark table": (lambda f: _by_table(f, "no_such_table"), INPUT, "a table that exists"),
    "a Spark table's name with a command": (lambda f: _by_table(f, "t; DROP TABLE t"), INPUT, "train table t; DROP"),
    # columns
    "no ids": (_rows(id=None, key=IDS), INPUT, "a column 'id'"),
    "no embeddings": (_rows(embedding=None, x=X), INPUT, "a column 'embedding'"),
    "no labels": (_rows(label=None, lable=LABELS), INPUT, "did you mean 'lable'"),
    "a column's name in another case": (_rows(label=None, LABEL=LABELS), INPUT, "a column 'label'"),
    "a column twice": (_file(lambda content: _doubled_column()), INPUT, "train.parquet"),
    "ids are fractions": (_rows(id=[0.5] * 6), INPUT, "a string or an integer"),
    "ids are structs": (_rows(id=[{"a": 1}] * 6), INPUT, "a string or an integer"),
    "ids are lists": (_rows(id=[["a"]] * 6), INPUT, "a string or an integer"),
    "ids beyond 63 bits": (_rows(id=pa.array(range(2**63, 2**63 + 6), pa.uint64())), INPUT, "a string or an integer"),
    "embeddings are text": (_rows(embedding=["[1, 2]"] * 6), INPUT, "array<float>"),
    "embeddings are numbers": (_rows(embedding=[1.0] * 6), INPUT, "array<float>"),
    "embeddings are integers": (_rows(embedding=[[1, 2]] * 6), INPUT, "array<float>"),
    "embeddings are matrices": (_rows(embedding=[[[1.0]]] * 6), INPUT, "array<float>"),
    "embeddings are words": (_rows(embedding=[["a"]] * 6), INPUT, "array<float>"),
    "embeddings are half precision": (
        _rows(embedding=pa.array([np.array(row, np.float16) for row in X], pa.list_(pa.float16()))),
        INPUT,
        "float32",
    ),
    "labels are fractions": (_rows(label=[0.5] * 6), INPUT, "knn_regression_shapley"),
    "labels are truth values": (_rows(label=[True] * 6), INPUT, "cast it to string"),
    "labels are structs": (_rows(label=[{"a": 1}] * 6), INPUT, "cast it to string"),
    "labels are lists of lists": (_rows(label=[[["a"]]] * 6), INPUT, "cast it to string"),
    "labels of another kind than the validation rows'": (_rows(label=[1] * 6), INPUT, "one kind of label"),
    "nothing but nulls in a column": (_rows(label=pa.nulls(6)), INPUT, "label"),
    # rows
    "no rows": (_file(lambda content: _empty()), INPUT, "at least one row"),
    "no validation rows": (_rows(validation=_validation().slice(0, 0)), INPUT, "at least one row"),
    "an id is null": (_rows(id=[None, *IDS[1:]]), INPUT, "id is null in 1 rows"),
    "a label is null": (_rows(label=[None, *LABELS[1:]]), INPUT, "label is null in 1 rows"),
    "an embedding is null": (_rows(embedding=pa.array([None, *X[1:]], FLOATS)), INPUT, "embedding is null"),
    "a number is null": (_rows(embedding=pa.array([[None, 1.0], *X[1:]], FLOATS)), INPUT, "embedding holds null"),
    "not a number": (_rows(embedding=pa.array([[np.nan, 1.0], *X[1:]], FLOATS)), INPUT, "NaN or infinity"),
    "infinity": (_rows(embedding=pa.array([[np.inf, 1.0], *X[1:]], FLOATS)), INPUT, "NaN or infinity"),
    "minus infinity": (_rows(embedding=pa.array([[-np.inf, 1.0], *X[1:]], FLOATS)), INPUT, "NaN or infinity"),
    "ragged": (_rows(embedding=pa.array([[1.0], [1.0, 2.0, 3.0], *X[2:]], FLOATS)), INPUT, "one dimension (2 in most"),
    "no dimension": (_rows(embedding=pa.array([[]] * 6, FLOATS)), INPUT, "embedding is empty in 6 rows"),
    "no dimension on both sides": (
        _rows(embedding=pa.array([[]] * 6, FLOATS), validation=_validation(embedding=pa.array([[]] * 2, FLOATS))),
        INPUT,
        "embedding is empty in 2 rows",
    ),
    "no bytes": (_rows(embedding=[b""] * 6), INPUT, "embedding is empty in 6 rows"),
    "bytes of no whole number": (_rows(embedding=[b"1234567", *BINARY[1:]]), INPUT, "not whole float32 numbers"),
    "bytes that are no number": (_rows(embedding=[b"\x00\x00\xc0\x7f" * 2, *BINARY[1:]]), INPUT, "NaN or infinity"),
    "65,536 dimensions on one side": (
        _rows(embedding=pa.array([np.zeros(65_536, np.float32)] * 6, FLOATS)),
        INPUT,
        "65536 in train, 2 in validation",
    ),
    "too large for float32": (_rows(embedding=pa.array([[1e200, 1.0], *X[1:]], DOUBLES)), INPUT, "precision: float64"),
    "squares too large for float32": (
        _rows(embedding=pa.array([[3e38, 1.0], *X[1:]], FLOATS)),
        INPUT,
        "too large to square",
    ),
    "squares too large for float64": (
        _rows("--precision", "float64", embedding=pa.array([[1e200, 1.0], *X[1:]], DOUBLES)),
        INPUT,
        "too large to square",
    ),
    "no direction": (
        _rows("--metric", "cosine", embedding=pa.array([[0.0, -0.0], *X[1:]], FLOATS)),
        INPUT,
        "without direction",
    ),
    "an id twice": (_rows(id=["a", "a", *IDS[2:]]), INPUT, "1 ids more than once; the first: 'a'"),
    "an id twice among validation rows": (_rows(validation=_validation(id=["v", "v"])), INPUT, "validation ids"),
    "an id twice, with a line break": (_rows(id=["a\nb", "a\nb", *IDS[2:]]), INPUT, "'a\\nb'"),
    "a label of nothing": (_rows(label=[[], *[["x"]] * 5]), INPUT, "empty array"),
    "a label with null inside": (_rows(label=[[None], *[["x"]] * 5]), INPUT, "holds null"),
    "all rows rejected": (
        _rows("--on_bad_row", "reject", label=pa.array([None] * 6, pa.string())),
        INPUT,
        "all 6 rows rejected",
    ),
    # what methods ask for
    "a number to predict is NaN": (
        _rows(
            "--method", "knn_regression_shapley", label=[np.nan, *[1.0] * 5], validation=_validation(label=[1.0, 2.0])
        ),
        INPUT,
        "label is NaN or infinity",
    ),
    "a number to predict is too large": (
        _rows("--method", "knn_regression_shapley", label=[1e99, *[1.0] * 5], validation=_validation(label=[1.0, 2.0])),
        INPUT,
        "too large to square",
    ),
    "a word to predict": (_rows("--method", "knn_regression_shapley"), INPUT, "a number, which regression predicts"),
    "a negative weight": (_rows("--method", "weighted_knn_shapley", weight=[-1.0] * 6), INPUT, "weight is negative"),
    "a weight that is a word": (_rows("--method", "weighted_knn_shapley", weight=["1"] * 6), INPUT, "a number"),
    "an owner is null": (_rows("--method", "owner_knn_shapley", owner=[None] * 6), INPUT, "owner is null"),
    "an owner is a list": (_rows("--method", "owner_knn_shapley", owner=[["a"]] * 6), INPUT, "cast it to string"),
    "more neighbors than other rows": (
        lambda f: [*_rows()(f)[:2], "--output", f / "out", "--method", "cleanlab_knn_shapley", "--k", 6],
        CONFIG,
        "at most the 5 other rows",
    ),
    # places to write to
    "a Delta table with brackets in its path": (
        lambda f: [*_at("FOLDER/a[1]")(f), "--train.format", "delta"],
        INPUT,
        "rename the folder",
    ),
    "a Delta output with brackets in its path": (
        lambda f: [*_rows()(f), "--output", f / "out[1]", "--output.format", "delta"],
        CONFIG,
        "output.path",
    ),
    "the output is a file": (lambda f: [*_rows()(f), "--output", f / "train.parquet"], CONFIG, "train.parquet"),
    "the output is of an unknown scheme": (_rows("--output", "nowhere://bucket/o"), CONFIG, "nowhere"),
    "the output is no place for files": (_rows("--output", "/proc/none"), COMPUTE, "/proc/none"),
    "the record that is there is cut short": (
        _published(lambda out: (out / "runs/run/run.json").write_text('{"run_id": "ru')),
        CONFLICT,
        "run.json",
    ),
    "the record that is there is a list": (
        _published(lambda out: (out / "runs/run/run.json").write_text("[]")),
        CONFLICT,
        "run.json",
    ),
    "the record that is there is bytes": (
        _published(lambda out: (out / "runs/run/run.json").write_bytes(b"\x80\x04\x95")),
        CONFLICT,
        "run.json",
    ),
    "the record that is there is another run's": (
        _published(lambda out: (out / "runs/run/run.json").write_text("{}")),
        CONFLICT,
        "choose another run_id",
    ),
    # runs that are to change
    "a run to change that is none": (lambda f: _changed(f, "other"), CONFIG, "a published run"),
    "a run to change outside the output": (lambda f: _changed(f, "../../etc"), CONFIG, "letters, digits"),
    "a run to change whose name is two dots": (lambda f: _changed(f, f"{f}/out/runs/.."), CONFIG, "letters, digits"),
    "a run to change without a record that can be read": (lambda f: _changed(f, "run", "{"), CONFIG, "run.json"),
    "a run to change with an empty record": (lambda f: _changed(f, "run", "{}"), CONFIG, "run.json"),
}


def _empty() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(_table().slice(0, 0), sink)
    return sink.getvalue().to_pybytes()


def _by_table(folder: Path, name: str) -> list[Any]:
    words = _rows()(folder)
    return ["--train.table", name, *words[2:]]


def _changed(folder: Path, run: str, record: str | None = None) -> list[Any]:
    words = _rows()(folder)
    if record is not None:
        path = folder / "out" / "runs" / run / "run.json"
        path.parent.mkdir(parents=True)
        path.write_text(record)
    return ["--add-validation", folder / "validation.parquet", run, "--output", folder / "out", *words[:2]]


@pytest.mark.parametrize("name", BAD)
def test_value__bad_input_has_its_exit_code_and_message_and_publishes_nothing(
    name: str, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, code, said = BAD[name]
    words = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    found = command("value", *words)
    out, err = capsys.readouterr()
    last = json.loads(err.splitlines()[-1])
    assert (found, last.get("exit_code")) == (code, code), err
    assert said in last["message"]
    assert "what to do" in last["message"]
    assert "Traceback" not in err
    assert "\\tat " not in err
    assert len(last["message"]) < 5_000
    assert out == ""
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before and path.is_file()] == []


# A plan reads footers and a sample: of these it learns, of other rows it may not.
PLANNED = [
    "no such file",
    "cut in half",
    "damaged pages",
    "text",
    "a second file without bytes",
    "embeddings of words in a second file",
    "no labels",
    "embeddings are text",
    "no rows",
    "no dimension on both sides",
    "65,536 dimensions on one side",
]


@pytest.mark.parametrize("name", PLANNED)
def test_plan__bad_input_has_its_exit_code_and_message(
    name: str, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = BAD[name][0](tmp_path)
    assert command("plan", *words) == INPUT
    out, err = capsys.readouterr()
    assert out == ""
    assert "what to do" in err
    assert "Traceback" not in err


# --- legal, however odd -----------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    "line\nbreak\r\n\t\x00",
    "\"'`${HOME}; DROP TABLE t; --",
    "../../etc/passwd",
    "👩\u200d🔬\u202egnp.exe",
    "",
]
GOOD = (_table(), _validation())
N_CLASSES = 100_000


def _odd(x: Any, points: Any, kind: pa.DataType = FLOATS) -> tuple[pa.Table, pa.Table]:
    """Return tables with these embeddings."""
    return _table(embedding=pa.array(list(x), kind)), _validation(embedding=pa.array(list(points), kind))


def _many_classes() -> tuple[pa.Table, pa.Table]:
    x = np.random.default_rng(3).normal(size=(N_CLASSES, 1)).astype(np.float32)
    train = pa.table({"id": range(N_CLASSES), "embedding": pa.array(list(x), FLOATS), "label": range(N_CLASSES)})
    return train, pa.table({"id": [0, 1], "embedding": pa.array([[0.5], [-0.1]], FLOATS), "label": [70_000, 99_999]})


WIDE = np.random.default_rng(5).normal(size=(8, 65_536)).astype(np.float32)
LONG = ["a" * 2**20, "a" * (2**20 - 1) + "b"]

# Name of the case: (train and validation table, words of the command line).
ODD: dict[str, tuple[Callable[[], tuple[pa.Table, pa.Table]], list[Any]]] = {
    "denormals": (lambda: _odd(np.array(X) * 1e-44, [[1e-44, 0.0], [0.0, 3e-44]]), []),
    "numbers whose squares are denormal": (
        lambda: _odd(np.array(X) * 1e-160, [[1e-160, 0.0], [0.0, 3e-160]], DOUBLES),
        [],
    ),
    "the largest numbers": (lambda: _odd(np.array(X) * 1e18, [[1e18, 0.0], [0.0, 3e18]]), []),
    "large numbers in float64": (
        lambda: _odd(np.array(X) * 1e150, [[1e150, 0.0], [0.0, 3e150]], DOUBLES),
        ["--precision", "float64"],
    ),
    "minus zero": (
        lambda: _odd(
            [[0.0, -0.0], [-0.0, 0.0], [0.0, 0.0], [-0.0, -0.0], [1.0, -0.0], [1.0, 0.0]], [[0.0, 0.0], [-0.0, 1.0]]
        ),
        [],
    ),
    "all rows equal": (lambda: _odd([[1.0, 2.0]] * 6, [[1.0, 2.0]] * 2), []),
    "all rows equal, by angle": (lambda: _odd([[1.0, 2.0]] * 6, [[1.0, 2.0]] * 2), ["--metric", "cosine"]),
    "odd ids and labels": (lambda: (_table(id=HOSTILE, label=HOSTILE), _validation(label=HOSTILE[:2])), []),
    "a label of a megabyte": (lambda: (_table(label=LONG * 3), _validation(label=LONG)), []),
    "the same letters in two ways": (
        lambda: (_table(label=["\u00e9", "e\u0301"] * 3), _validation(label=["e\u0301", "E\u0301"])),
        [],
    ),
    "the largest integers": (
        lambda: (
            _table(id=[2**63 - 1, -(2**63), 0, -1, 1, 2], label=[-(2**63), 2**63 - 1] * 3),
            _validation(id=[1, 2], label=[2**63 - 1, 0]),
        ),
        [],
    ),
    "65,536 dimensions": (lambda: _odd(WIDE[:6], WIDE[6:]), []),
    "100,000 classes": (_many_classes, []),
    "bytes": (lambda: (_table(embedding=BINARY), _validation()), []),
    "more neighbors than rows": (lambda: GOOD, ["--k", 1000]),
    "one row of each": (lambda: (GOOD[0].slice(0, 1), GOOD[1].slice(0, 1)), []),
}


@pytest.mark.parametrize("name", ODD)
def test_value__odd_input_has_the_values_of_the_definition(
    name: str, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, more = ODD[name]
    train, validation = make()
    folder = tmp_path / "a b%20#é"
    folder.mkdir()
    pq.write_table(train, folder / "train.parquet")
    pq.write_table(validation, folder / "validation.parquet")
    words = ["--k", 2, *more, *(["--report", "true"] if name == "odd ids and labels" else [])]
    assert command("value", *_words(folder, *words)) == 0, capsys.readouterr().err
    found = pa.dataset.dataset(folder / "out" / "values", partitioning="hive").to_table().to_pylist()
    ids = train["id"].to_pylist()
    assert sorted(row["id"] for row in found) == sorted(ids)
    assert {row["id"]: row["label"] for row in found} == dict(zip(ids, train["label"].to_pylist(), strict=True))
    given = dict(zip(words[::2], words[1::2], strict=True))
    metric, k = given.get("--metric", "euclidean"), given["--k"]
    sides = [part for side in (train, validation) for part in (_embeddings(side), side["label"].to_pylist())]
    oracle = exact_values if len(ids) * len(sides[0][0]) < 100 else reference_values
    expected = dict(zip(ids, oracle(*sides, method="knn_shapley", k=k, metric=metric, train_ids=ids), strict=True))
    for row in found:
        assert abs(row["value"] - float(expected[row["id"]])) <= 1e-12
    if name == "odd ids and labels":
        report = (folder / "out" / "runs" / "run" / "report.html").read_text()
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in report
        assert "<script>alert" not in report
        assert "\u202e" not in report


def _embeddings(side: pa.Table) -> list[Any]:
    rows = side["embedding"].to_pylist()
    return [np.frombuffer(row, "<f4").tolist() if isinstance(row, bytes) else row for row in rows]


@pytest.mark.long
def test_value__a_secret_of_the_environment_is_in_nothing_that_a_run_writes(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "a-token-of-the-lake"
    monkeypatch.setenv("LAKE_TOKEN", secret)
    folder = tmp_path / secret  # stands for a link that is signed with it
    folder.mkdir()
    words = [*_rows()(folder), "--report", "true", "--k", 2, "--json"]
    assert command("value", *words) == 0
    out, err = capsys.readouterr()
    run = folder / "out" / "runs" / "run"
    assert json.loads((run / "run.json").read_text())["inputs"]["train"]["reference"].endswith("/***/train.parquet")
    told = [out, err, *(path.read_text() for path in (run / "run.json", run / "report.html"))]
    assert [text for text in told if secret in text] == []


@pytest.mark.long
def test_value__owners_that_are_paths_stay_in_the_folder_of_the_values(command: Command, tmp_path: Path) -> None:
    pq.write_table(_table(owner=["../../up", "a/b", "/etc", "..", "a\nb", "%2e%2e%2f"]), tmp_path / "train.parquet")
    pq.write_table(_validation(), tmp_path / "validation.parquet")
    budget = ["--method", "dp_threshold_knn_shapley", "--epsilon", "1", "--delta", "1e-6", "--radius", "2"]
    assert command("value", *_words(tmp_path, *budget)) == 0
    folders = {path.relative_to(tmp_path).parts[:3] for path in tmp_path.rglob("*.parquet")}
    assert ("out", "values", "run_id=run") in folders
    assert {parts[0] for parts in folders} == {"train.parquet", "validation.parquet", "out"}
    owners = [path for path in (tmp_path / "out" / "values" / "run_id=run").iterdir() if path.is_dir()]
    assert len(owners) == 6
    assert all(path.name.startswith("owner=") for path in owners)
