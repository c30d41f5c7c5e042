"""Places to publish in: local paths, file URIs, and schemes nothing answers to."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from dvspark.errors import ConfigError
from dvspark.tables.storage import Storage, entries, folder_problems, open_storage


@pytest.fixture(params=["path", "path with a slash", "relative path", "home", "file URI", "short file URI"])
def storage(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """The same folder, ``out put`` in the test's own, by all its names."""
    folder = tmp_path / "out put"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    places = {
        "path": str(folder),
        "path with a slash": f"{folder}/",
        "relative path": "out put",
        "home": "~/out put",
        "file URI": folder.as_uri(),
        "short file URI": folder.as_uri().replace("file://", "file:"),
    }
    return open_storage(places[request.param])


def test_storage__writes_where_it_was_told(storage: Storage, tmp_path: Path) -> None:
    storage.write_text("runs/one/run.json", "{} é\n")
    assert (tmp_path / "out put" / "runs" / "one" / "run.json").read_text(encoding="utf-8") == "{} é\n"
    assert storage.read_text("runs/one/run.json") == "{} é\n"


def test_storage__knows_what_is_there(storage: Storage) -> None:
    assert not storage.exists("runs")
    storage.write_text("runs/one/run.json", "{}")
    assert storage.exists("runs")
    assert storage.exists("runs/one/run.json")
    assert not storage.exists("runs/one/run")


def test_storage__shows_plain_paths_of_this_machine(storage: Storage, tmp_path: Path) -> None:
    assert storage.shown_path("values/run_id=a") == str(tmp_path / "out put" / "values" / "run_id=a")


def test_storage__tells_spark_a_uri_as_hadoop_reads_it(storage: Storage, tmp_path: Path) -> None:
    assert storage.spark_path("values") == f"file://{tmp_path}/out put/values"


@pytest.mark.parametrize("place", ["a\0b", "~nobody-of-this-name/out"])
def test_open_storage__refuses_a_place_that_cannot_be(place: str) -> None:
    with pytest.raises(ConfigError, match="a place that can be written"):
        open_storage(place)


def test_storage__renames_files_and_folders_into_new_folders(storage: Storage) -> None:
    storage.write_text("staged/a/one.txt", "1")
    storage.rename("staged/a", "values/run_id=a")
    assert storage.read_text("values/run_id=a/one.txt") == "1"
    assert not storage.exists("staged/a")
    storage.rename("values/run_id=a/one.txt", "elsewhere/two.txt")
    assert storage.read_text("elsewhere/two.txt") == "1"


def test_storage__removes_a_folder_whether_or_not_it_is_there(storage: Storage) -> None:
    storage.write_text("staged/a/b/one.txt", "1")
    storage.write_text("values/one.txt", "1")
    storage.remove("staged")
    storage.remove("staged")
    assert not storage.exists("staged")
    assert storage.exists("values/one.txt")


def test_storage__writing_replaces(storage: Storage) -> None:
    storage.write_text("run.json", "a long first text")
    storage.write_text("run.json", "second")
    assert storage.read_text("run.json") == "second"


@pytest.mark.parametrize("place", ["ftp://host/folder", "nosuch://bucket/x", "https://host/x", "://x"])
def test_open_storage__a_scheme_nothing_answers_to_is_refused(place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_storage(place)
    (problem,) = caught.value.problems
    assert problem.where == "output"
    assert place in problem.got
    assert "hdfs:" in problem.hint


def test_storage__other_file_systems_are_shown_as_spark_knows_them() -> None:
    bucket = Storage("s3a://bucket/out/", "bucket/out/", fs.SubTreeFileSystem("/", fs.LocalFileSystem()))
    assert bucket.spark_path("values") == "s3a://bucket/out/values"
    assert bucket.shown_path("values") == "s3a://bucket/out/values"
    assert bucket.path("values") == "bucket/out/values"


def test_entries__are_files_and_folders_there_or_below(tmp_path: Path) -> None:
    (tmp_path / "runs" / "a").mkdir(parents=True)
    (tmp_path / "runs" / "run.json").write_text("{}")
    (tmp_path / "runs" / "a" / "b").write_text("")
    storage = open_storage(str(tmp_path))

    def names(folder: str, *, recursive: bool = False) -> list[str]:
        return sorted(info.base_name for info in entries(storage.file_system, folder, recursive=recursive))

    assert names(storage.path("runs")) == ["a", "run.json"]
    assert names(storage.root, recursive=True) == ["a", "b", "run.json", "runs"]
    assert names(storage.path("none")) == []
    assert (storage.names("runs"), storage.folders("runs"), storage.folders()) == (["run.json"], ["a"], ["runs"])


def test_folder_problems__are_the_places_where_no_folder_can_be_made(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    (tmp_path / "link").symlink_to(file)
    places = {
        "there": str(tmp_path),
        "new": str(tmp_path / "a" / "b"),
        "none": None,
        "file": str(file),
        "below": f"{file.as_uri()}/x",
        "link": str(tmp_path / "link"),
    }
    assert {problem.where for problem in folder_problems(**places)} == {"file", "below", "link"}


class EmptyFoldersGo:
    """A file system beside which another process removes each new folder once, while the folder is still empty."""

    def __init__(self, file_system: fs.FileSystem) -> None:
        self._file_system, self._removed = file_system, set[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file_system, name)

    def create_dir(self, folder: str, *, recursive: bool) -> None:
        self._file_system.create_dir(folder, recursive=recursive)
        if folder not in self._removed:
            self._removed.add(folder)
            Path(folder).rmdir()


@pytest.mark.parametrize("how", ["write", "rename", "make_private"])
def test_storage__an_empty_folder_that_another_process_removes_meanwhile_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A run that ends removes empty folders that all runs of an output share, such as `ledger` and `review`."""
    storage = open_storage(str(tmp_path))
    storage.write("staged/one.txt", b"1")
    beside: Any = EmptyFoldersGo(storage.file_system)
    storage = dataclasses.replace(storage, file_system=beside)
    mkdir, removed = Path.mkdir, list[Path]()

    def late(folder: Path, *args: Any, **kwargs: Any) -> None:
        mkdir(folder, *args, **kwargs)
        if folder.name == "review" and not removed:
            removed.append(folder)
            folder.rmdir()

    monkeypatch.setattr(Path, "mkdir", late)
    act = {
        "write": lambda: storage.write("review/one.txt", b"1"),
        "rename": lambda: storage.rename("staged", "review/one.txt"),
        "make_private": lambda: storage.make_private("review/one.txt"),
    }
    act[how]()
    assert (tmp_path / "review" / "one.txt").exists()


def test_finish_removals__leaves_what_another_user_is_removing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, delete = open_storage(str(tmp_path)), Storage._delete
    for letter in "ab":
        storage.write(f"_removed-{letter * 16}/one.txt", b"1")

    def of_two_users(of: Storage, folder: str) -> None:
        if "a" in folder:
            raise PermissionError(folder)
        delete(of, folder)

    monkeypatch.setattr(Storage, "_delete", of_two_users)
    storage.finish_removals()
    assert storage.folders() == ["_removed-" + "a" * 16]
