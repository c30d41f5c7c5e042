"""Numba's cache: a folder of this user alone, in every process that has kernels run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dvspark.host.numba_cache import CACHE_VARIABLE, private_cache, use_private_cache

TOLD = f"import os; from dvspark.kernels import loops; loops.fastest(); print(os.environ.get({CACHE_VARIABLE!r}))"
VALUED = "import dvspark; dvspark.value_arrays([[0.0], [1.0]], ['a', 'b'], [[0.2]], ['a'], k=1)"


def told(code: str, folder: Path, **given: str) -> str:
    """Return where Numba keeps compiled loops in a process that has run ``code``."""
    environment = {"PATH": "", "TMPDIR": str(folder), **given}
    program = [sys.executable, "-c", f"{code}\n{TOLD}"]
    return subprocess.run(program, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_private_cache__is_no_folder_that_others_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    usual = tmp_path / f"dvspark-numba-{os.getuid()}"
    assert private_cache() == usual
    assert usual.stat().st_mode & 0o777 == 0o700
    usual.chmod(0o777)
    other = private_cache()
    assert other != usual
    assert other.stat().st_mode & 0o777 == 0o700
    usual.rmdir()
    usual.symlink_to(other)
    assert private_cache() not in {usual, other}


def test_use_private_cache__leaves_a_folder_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, "/elsewhere")
    use_private_cache()
    assert os.environ[CACHE_VARIABLE] == "/elsewhere"


@pytest.mark.long
@pytest.mark.parametrize(
    "code",
    [
        VALUED,
        "import dvspark.engine.tasks",  # what Spark's workers import
        "import dvspark.engine.planning.calibrate",
        "import dvspark.functions",
        "import dvspark.run.pipeline",
    ],
)
def test_use_private_cache__is_done_in_every_process_that_has_kernels_run(code: str, tmp_path: Path) -> None:
    assert told(code, tmp_path) == str(tmp_path / f"dvspark-numba-{os.getuid()}")


def test_use_private_cache__is_not_done_where_loops_are_numpys(tmp_path: Path) -> None:
    assert told(VALUED, tmp_path, DVSPARK_LOOPS="numpy") == "None"
    assert list(tmp_path.iterdir()) == []
