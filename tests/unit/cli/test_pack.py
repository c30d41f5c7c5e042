"""`dvspark pack`: all of the package that executors may ask for, in a zip from which it runs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dvspark.cli import main

ROOT = Path(__file__).parents[3]
# Of the package, the demo's tables alone are not for executors.
MOST_BYTES = 1_000_000


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
