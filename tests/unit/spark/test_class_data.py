"""An archive of classes is used if it is whole, fits, and is of this user alone; else Java starts without one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dvspark.cli.front import main
from dvspark.errors import ComputeError, ConfigError
from dvspark.host import owned
from dvspark.spark import class_data, session
from dvspark.spark.class_data import (
    CLASS_DATA_VARIABLE,
    OFF,
    archive,
    class_data_options,
    wait_until_gone,
    writing_archive,
)
from dvspark.spark.java import find_java_home

pytest.importorskip("pyspark")
HELLO = "public class Hello { public static void main(String[] words) { System.out.println(words.length); } }"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CLASS_DATA_VARIABLE, str(tmp_path / "class-data"))
    monkeypatch.setattr(owned, "place_of_others", lambda _: None)
    monkeypatch.setattr(class_data, "place_of_others", lambda _: None)  # of folders of tests, whoever made them
    return tmp_path / "class-data"


def _java_home(path: Path, content: str = "") -> Path:
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "java").write_text(content)
    return path


def _written(java_home: Path, content: bytes = b"classes") -> Path:
    """Write an archive as a Java would that ends within the block."""
    with writing_archive(java_home) as options:
        Path(options.split()[0].partition("=")[2]).write_bytes(content)
    found = archive(java_home)
    assert found is not None
    return found


def test_archive__is_written_in_one_step_and_used(folder: Path, tmp_path: Path) -> None:
    home = _java_home(tmp_path / "java")
    assert class_data_options(home) == ""
    first = _written(home)
    assert f"-XX:SharedArchiveFile={first} " in class_data_options(home)
    assert (folder.stat().st_mode & 0o777, first.stat().st_mode & 0o777) == (0o700, 0o600)
    second = _written(home, b"other classes")
    assert list(folder.iterdir()) == [second]


def test_archive__of_another_java_is_not_used(folder: Path, tmp_path: Path) -> None:
    home, other = _java_home(tmp_path / "java"), _java_home(tmp_path / "other")
    own = _written(home)
    assert archive(other) is None
    (home / "release").write_text("a new version")
    assert archive(home) is None
    assert list(folder.iterdir()) == [own]


@pytest.mark.parametrize("content", [b"", b"clas", b"classeS", b"classes and more"])
def test_archive__that_is_not_as_it_was_written_is_not_used(folder: Path, tmp_path: Path, content: bytes) -> None:
    home = _java_home(tmp_path / "java")
    _written(home).write_bytes(content)
    assert len(list(folder.iterdir())) == 1
    assert archive(home) is None


@pytest.mark.parametrize("how", ["folder", "file", "link", "linked folder"])
def test_archive__that_others_could_have_written_is_not_used(folder: Path, tmp_path: Path, how: str) -> None:
    home = _java_home(tmp_path / "java")
    path = _written(home)
    if how == "folder":
        folder.chmod(0o770)
    elif how == "file":
        path.chmod(0o620)
    elif how == "link":
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    else:
        folder.rename(tmp_path / "moved")
        folder.symlink_to(tmp_path / "moved")
    assert archive(home) is None
    assert class_data_options(home) == ""


def test_writing__refuses_a_folder_of_others_and_a_java_that_writes_none(folder: Path, tmp_path: Path) -> None:
    home = _java_home(tmp_path / "java")
    with pytest.raises(ComputeError, match="an archive that Java writes"), writing_archive(home):
        pass
    assert list(folder.iterdir()) == []
    folder.chmod(0o777)
    with pytest.raises(ComputeError, match="a folder of this user alone"), writing_archive(home):
        pass


@pytest.mark.parametrize("told", [OFF, "here", "/a b", "/a,b", '/a"b'])
def test_folder__that_java_could_not_be_told_of_is_none(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv(CLASS_DATA_VARIABLE, told)
    assert class_data_options(Path("/java")) == ""
    with pytest.raises(ConfigError, match=CLASS_DATA_VARIABLE), writing_archive(Path("/java")):
        pass


def test_session__names_the_archive_unless_options_name_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = _java_home(tmp_path / "java")
    path = _written(home)
    monkeypatch.setenv("JAVA_HOME", str(home))
    for variable in session.JAVA_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    assert str(path) in session._local_conf({})[session.DEFAULTS]
    for named in ("-Xshare:off", "-XX:SharedArchiveFile=/other", "-XX:ArchiveClassesAtExit=/other"):
        given = {"spark.driver.extraJavaOptions": named}
        assert session._local_conf(given)[session.DEFAULTS] == f"{session.COLLECTOR} {session.LATE_COMPILER}"


def test_java__starts_with_an_archive_and_with_one_of_other_classes(folder: Path, tmp_path: Path) -> None:
    home = find_java_home()
    if not (home / "bin" / "javac").exists():
        pytest.skip("a Java without a compiler")
    (tmp_path / "Hello.java").write_text(HELLO)
    _run(tmp_path, home / "bin" / "javac", "Hello.java")
    _run(tmp_path, home / "bin" / "jar", "cf", "hello.jar", "Hello.class")
    java = [home / "bin" / "java", "-cp", "hello.jar"]
    with writing_archive(home) as options:
        _run(tmp_path, *java, *options.split(), "Hello")
    found = _run(tmp_path, *java, *class_data_options(home).split(), "-Xlog:class+load", "Hello", "x")
    assert "Hello source: shared objects file (top)" in found
    os.utime(tmp_path / "hello.jar", (1, 1))  # as if it were another version: Java takes no classes of the archive
    assert _run(tmp_path, *java, *class_data_options(home).split(), "Hello", "x") == "1\n"


def _run(folder: Path, *command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder).stdout


def test_java__that_does_not_end_is_killed_and_told() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as waits:
        with pytest.raises(ComputeError, match="jobs run without an archive"):
            wait_until_gone(waits, 0.01)
        assert waits.returncode == -signal.SIGKILL


def test_warm__where_a_variable_names_a_collector_says_that_sessions_would_not_use_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:+UseSerialGC")
    assert main(["warm"]) == 2
    assert "JAVA_TOOL_OPTIONS" in capsys.readouterr().err


def test_archive__that_goes_while_it_is_looked_at_gives_way_to_the_one_that_came(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process writes a new one in the moment after this one has listed the folder."""
    home, lstat, came = _java_home(tmp_path / "java"), os.lstat, list[Path]()
    first = _written(home)

    def late(path: Any, **options: Any) -> os.stat_result:
        if path == first and not came:
            came.append(first)
            came.append(_written(home, b"other classes"))
        return lstat(path, **options)

    monkeypatch.setattr(os, "lstat", late)
    assert archive(home) == came[-1] != first
    assert list(folder.iterdir()) == [came[-1]]


def test_writing__does_not_remove_what_another_process_writes_meanwhile(folder: Path, tmp_path: Path) -> None:
    home = _java_home(tmp_path / "java")
    _written(home, b"earlier classes")
    with writing_archive(home) as options:
        Path(options.split()[0].partition("=")[2]).write_bytes(b"classes")
        other = _written(home, b"other classes")
    assert other.exists()
    assert len(list(folder.iterdir())) == 2
    last = _written(home, b"later classes")
    assert list(folder.iterdir()) == [last]


def test_writing__what_a_killed_process_left_goes_when_the_next_one_writes(folder: Path, tmp_path: Path) -> None:
    home = _java_home(tmp_path / "java")
    code = f"""
import os
from pathlib import Path
from dvspark.spark.class_data import writing_archive
with writing_archive(Path({str(home)!r})) as options:
    Path(options.split()[0].partition("=")[2]).write_bytes(b"half of it")
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert len(list(folder.iterdir())) == 1
    path = _written(home)
    assert list(folder.iterdir()) == [path]
