"""Runs that are killed and started again: the bits of one that was left alone, and no wave done twice."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pyarrow.parquet as pq
import pytest
from frames import draw_data, write_parquet

from dvspark.engine.replicated import packing
from dvspark.engine.replicated.ahead import IndexAhead
from dvspark.engine.sharded import sharded
from dvspark.host.own_folder import OwnFolder
from dvspark.runs import leases
from dvspark.runs.holder import Holder
from dvspark.runs.ledger import Ledger
from dvspark.tables.storage import Storage, open_storage

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

DATA = draw_data(120, 30, seed=41)
# Deaths in one run, evenly spread over what it changes on storage.
N_DEATHS = 10


class Killed(BaseException):
    """The process is dead: nothing it does afterwards has an effect."""


@dataclass(frozen=True)
class Mortal(Storage):
    """A storage whose process dies at the ``dies_at``-th change, before it or half way through."""

    dies_at: int = -1
    changes: list[str] = field(default_factory=list)

    def _change(self, name: str, *arguments: Any) -> Any:
        if 0 <= self.dies_at <= len(self.changes):
            if self.dies_at == len(self.changes) and name == "write":  # a file half written
                super().write(arguments[0], arguments[1][: len(arguments[1]) // 2])
            self.changes.append("dead")
            raise Killed
        self.changes.append(f"{name} {arguments[0]}")
        return getattr(Storage, name)(self, *arguments)

    def write(self, name: str, content: bytes) -> None:
        self._change("write", name, content)

    def rename(self, source: str, target: str) -> None:
        self._change("rename", source, target)

    def remove(self, name: str) -> None:
        self._change("remove", name)

    def remove_file(self, name: str) -> None:
        self._change("remove_file", name)

    def remove_empty(self, name: str) -> None:
        self._change("remove_empty", name)


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Two tables whose run takes three waves."""
    monkeypatch.setattr("dvspark.engine.chunks.WAVE_CHUNKS", 4)
    monkeypatch.setattr("dvspark.engine.chunks.QUERY_SECONDS", 3600.0)  # a slow machine would make more waves of them
    paths = {side: str(tmp_path / f"{side}.parquet") for side in ("train", "validation")}
    write_parquet(Path(paths["train"]), DATA.train)
    write_parquet(Path(paths["validation"]), DATA.validation)
    return paths


def job(spark: SparkSession, tables: dict[str, str], output: Path, **settings: Any) -> dict[str, Any]:
    from dvspark.config.sources import load_config
    from dvspark.run.pipeline import run

    given = {"k": 5, "report": False, "chunk_rows": 3, "run_id": "run", "output": str(output), **tables, **settings}
    return run(load_config(None, given), spark)


def published(output: Path, run_id: str = "run") -> pa.Table:
    return pq.read_table(output / f"values/run_id={run_id}").sort_by("id")


def dying_at(dies_at: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the next run's process die at a change; return what it has changed until then."""
    changes: list[str] = []
    mortal = Holder.here() if dies_at < 0 else dataclasses.replace(Holder.here(), pid=2**22 + 1)  # that nobody has
    monkeypatch.setattr(leases.Holder, "here", lambda: mortal)
    monkeypatch.setattr(leases, "BEAT_SECONDS", 3600.0)  # a beat would be a change, on a slow machine

    def opened(place: str) -> Mortal:
        storage = open_storage(place)
        return Mortal(storage.uri, storage.root, storage.file_system, dies_at, changes)

    monkeypatch.setattr("dvspark.run.output.open_storage", opened)
    return changes


def waves_of(changes: list[str]) -> list[str]:
    return [change for change in changes if change.startswith("rename") and ".json" in change and "wave-" in change]


@pytest.mark.long
def test_run__killed_at_any_change_goes_on_with_the_same_bits(
    spark: SparkSession, tables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = dying_at(-1, monkeypatch)
    job(spark, tables, tmp_path / "alone")
    expected, n_changes, n_waves = published(tmp_path / "alone"), len(changes), len(waves_of(changes))
    assert n_waves >= 3
    for death in range(N_DEATHS):
        output = tmp_path / f"killed-{death}"
        before = dying_at(death * n_changes // N_DEATHS, monkeypatch)
        with pytest.raises(Killed):
            job(spark, tables, output)
        after = dying_at(-1, monkeypatch)
        job(spark, tables, output)
        assert published(output).equals(expected)
        assert len(waves_of(before)) + len(waves_of(after)) <= n_waves + 1
        assert not (output / "ledger").exists()
        assert sorted(path.name for path in output.iterdir()) == ["runs", "validation_rows", "values"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("plan", "left"),
    [
        ("replicated", "whole"),
        ("replicated", "unfinished"),
        ("replicated", "x.npy"),
        ("sharded", "whole"),
        ("sharded", "block-00000/x.npy"),
    ],
)
def test_run__killed_goes_on_with_its_index_if_that_was_finished_and_is_whole(
    spark: SparkSession, tables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: str, left: str
) -> None:
    settings, built = {"work_dir": str(tmp_path / "work"), "plan": plan}, list[Path]()
    changes = dying_at(-1, monkeypatch)
    job(spark, tables, tmp_path / "alone", **settings)
    assert list((tmp_path / "work").iterdir()) == []
    finished = [change for change in changes if change.startswith("rename") and "index.json" in change][1]
    remove = OwnFolder.remove
    with monkeypatch.context() as death:
        at = changes.index(finished if left == "unfinished" else waves_of(changes)[0])
        done = dying_at(at, death)
        # What the kernel does.
        death.setattr(OwnFolder, "remove", lambda own: own.lock.close() if "dead" in done else remove(own))
        with pytest.raises(Killed):
            job(spark, tables, tmp_path / "killed", **settings)
    (folder,) = (tmp_path / "work").iterdir()
    if left not in ("whole", "unfinished"):
        content = (folder / "index" / left).read_bytes()
        (folder / "index" / left).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    builder, build = {"replicated": (packing, "build_index"), "sharded": (sharded, "build_blocks")}[plan]
    real, begun, begin = getattr(builder, build), list[Path](), IndexAhead.begun

    def seen(*rows: Any, directory: Path, **shape: Any) -> Any:
        built.append(directory)
        return real(*rows, directory=directory, **shape)

    def seen_ahead(root: Path, *rows: Any) -> IndexAhead:
        begun.append(root)
        return begin(root, *rows)

    monkeypatch.setattr(builder, build, seen)
    monkeypatch.setattr(IndexAhead, "begun", seen_ahead)
    job(spark, tables, tmp_path / "killed", **settings)
    assert built == ([] if left == "whole" else [folder / "index"])
    assert begun == ([tmp_path / "work"] if left == "unfinished" else [])  # what is finished is not written again
    assert published(tmp_path / "killed").equals(published(tmp_path / "alone"))
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.long
def test_run__finished_is_not_repeated_unless_forced(
    spark: SparkSession, tables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = job(spark, tables, tmp_path / "out")
    changes = dying_at(-1, monkeypatch)
    assert job(spark, tables, tmp_path / "out")["created"] == record["created"]
    assert waves_of(changes) == []
    again = job(spark, tables, tmp_path / "out", force=True)
    assert again["fingerprint"] == record["fingerprint"]
    assert waves_of(changes)


@pytest.mark.long
def test_run__half_done_by_other_options_is_refused_with_both_sides(
    spark: SparkSession, tables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvspark.errors import OutputConflictError

    dying_at(8, monkeypatch)
    with pytest.raises(Killed):
        job(spark, tables, tmp_path / "out")
    dying_at(-1, monkeypatch)
    with pytest.raises(OutputConflictError, match=r"(?s)fingerprint [0-9a-f]{12}.*waves of fingerprint [0-9a-f]{12}"):
        job(spark, tables, tmp_path / "out", k=6)
    job(spark, tables, tmp_path / "out", k=6, force=True)


@pytest.mark.long
@pytest.mark.parametrize("plan", ["replicated", "sharded"])
def test_run__that_goes_on_with_waves_of_other_options_fails_its_audit(
    spark: SparkSession, tables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: str
) -> None:
    from dvspark.errors import AuditError

    ledgers = []
    settings = {"plan": plan, "work_dir": str(tmp_path / "work")}
    # Not two numbers of neighbors: the values of a chunk are the same if its rows' six nearest all match, or none does.
    for metric in ("euclidean", "cosine"):
        changes = dying_at(-1, monkeypatch)
        if not ledgers:
            job(spark, tables, tmp_path / "alone", metric=metric, **settings)
            death = changes.index(waves_of(changes)[-1])
        dying_at(death, monkeypatch)
        with pytest.raises(Killed):
            job(spark, tables, tmp_path / metric, metric=metric, **settings)
        begun = json.loads((tmp_path / metric / "ledger" / "run_id=run" / "run.json").read_text())
        ledgers.append(Ledger(open_storage(str(tmp_path / metric)), "run", begun["fingerprint"]))
    mine, others = ledgers
    mine.begin()
    foreign = list(others.waves())
    assert foreign
    for number, wave in enumerate(foreign):  # sealed as its own
        mine.commit(number, wave)
    dying_at(-1, monkeypatch)
    with pytest.raises(AuditError, match="audit: earlier_waves"):
        job(spark, tables, tmp_path / "euclidean", **settings)
    assert [path.name for path in (tmp_path / "euclidean").iterdir()] == []
    job(spark, tables, tmp_path / "euclidean", **settings)
    assert published(tmp_path / "euclidean").equals(published(tmp_path / "alone"))


def test_run__a_full_disk_publishes_nothing_and_says_so(
    spark: SparkSession, tables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvspark.errors import ComputeError

    def full(self: Storage, name: str, content: bytes) -> None:
        raise OSError(28, "No space left on device", name)

    with monkeypatch.context() as disk:
        disk.setattr(Storage, "write", full)
        with pytest.raises(ComputeError, match="No space left"):
            job(spark, tables, tmp_path / "out")
    assert not (tmp_path / "out" / "values").exists()
    job(spark, tables, tmp_path / "out")


@contextmanager
def small_files(spark: SparkSession, n_bytes: int) -> Iterator[None]:
    """Let Spark's Java write files of so many bytes at most, beyond which its writes fail as on a full disk."""
    java = psutil.Process(spark._jvm.java.lang.ProcessHandle.current().pid())
    soft, hard = java.rlimit(psutil.RLIMIT_FSIZE)
    java.rlimit(psutil.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        java.rlimit(psutil.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.long
def test_run__a_disk_that_fills_while_spark_writes_publishes_nothing_and_leaves_nothing(
    spark: SparkSession, tables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvspark.errors import ComputeError
    from dvspark.tables.sinks import write

    publish = write.publish

    def on_a_full_disk(*arguments: Any, **named: Any) -> None:
        with small_files(spark, 1024):
            publish(*arguments, **named)

    # The driver writes what it holds; the hashes of rows that stay on Spark are Spark's to write.
    monkeypatch.setattr("dvspark.engine.replicated.chunk_frames.HELD_BYTES", 0)
    with monkeypatch.context() as disk:
        disk.setattr(write, "publish", on_a_full_disk)
        with pytest.raises(
            ComputeError, match=r"(?s)File too large \(Task failed while writing .*out/_staging-run-.*free space"
        ):
            job(spark, tables, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["ledger"]  # all waves: nothing is done again
    changes = dying_at(-1, monkeypatch)
    job(spark, tables, tmp_path / "out")
    assert waves_of(changes) == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["runs", "validation_rows", "values"]


@pytest.mark.long
def test_driver__killed_by_the_system_goes_on_with_the_same_bits(
    spark: SparkSession, tables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvspark.engine.chunks.WAVE_CHUNKS", 5)
    job(spark, tables, tmp_path / "alone", chunk_rows=2)
    words = [sys.executable, "-m", "dvspark.cli", "value", "--k", "5", "--report", "false", "--run_id", "run"]
    words += ["--train", tables["train"], "--validation", tables["validation"], "--chunk_rows", "2"]
    words += ["--spark.master", "local[1]"]
    waves = "import dvspark.engine.chunks as c; c.WAVE_CHUNKS = 5; import sys; from dvspark.cli import main; "
    command = [words[0], "-c", waves + "sys.exit(main(sys.argv[1:]))", *words[3:]]

    (tmp_path / "temporary").mkdir()
    said = tmp_path / "said"

    def run(output: Path, *, kill: bool) -> int:
        with said.open("a") as errors:
            process = subprocess.Popen(
                [*command, "--output", str(output)],
                env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        try:
            while kill and process.poll() is None and not list(output.glob("ledger/*/wave-00001.json")):
                time.sleep(0.02)
            if kill:
                os.killpg(process.pid, signal.SIGKILL)
            return process.wait(240)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

    assert run(tmp_path / "killed", kill=True) == -signal.SIGKILL
    assert not (tmp_path / "killed" / "values").exists()
    assert len(list((tmp_path / "temporary").glob("dvspark-*/index/index.json"))) == 1
    assert run(tmp_path / "killed", kill=False) == 0
    assert published(tmp_path / "killed").equals(published(tmp_path / "alone"))
    assert said.read_text().count('"note": "finished before') == 1  # the index, by the second run
    record = json.loads((tmp_path / "killed" / "runs" / "run" / "run.json").read_text())
    found = {finding["name"]: finding for finding in record["findings"]}
    assert (found["earlier_waves"]["verdict"], found["earlier_waves"]["measured"]) == (
        "pass",
        pytest.approx(0, abs=1e-9),
    )
    assert not [*(tmp_path / "temporary").glob("dvspark-own-*"), *(tmp_path / "temporary").glob("dvspark-scratch-*")]
