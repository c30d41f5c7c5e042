"""Compiled loops are kept from process to process, as long as no source changes that is part of their machine code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dvspark

# The codes of 40 rows with keys 0 to 39, by the loops that the copy has compiled and by those of NumPy.
CODED = """
import numpy as np
from dvspark.kernels import loops
from dvspark.kernels.binning import bins

def codes_of(some):
    keys, of_none, codes = np.arange(40, dtype=np.float32), np.zeros(40, np.int32), np.zeros((1, 40), np.uint16)
    lines = np.ones((1, 2, bins.N_CELLS + 1), np.float32) * np.float32([[[3.3], [1.0]]])
    of_point = [np.zeros(1, kind) for kind in (np.int32, np.float32, np.float32, np.float32)]
    near = np.zeros((1, 40), np.int32), np.zeros((1, 40), np.float32), np.zeros(1, np.int64)
    labels, low, origin, per_unit = of_point
    per_unit[:] = 7.7
    some.assign_bins(keys[None], keys * 0, of_none, labels, low, origin, per_unit, lines, 0, codes, *near)
    return codes[0].tolist()

assert loops.name(loops.fastest()) == "numba"
assert codes_of(loops.fastest()) == codes_of(loops), "other codes"
"""
PACKED = """
import numpy as np
from dvspark.kernels import loops

packed = np.zeros(40, np.uint64)
loops.fastest().pack(np.arange(40, dtype=np.float32)[::-1], np.zeros(40, np.bool_), packed)
print(packed.tolist())
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, whose sources a test may change."""
    shutil.copytree(
        Path(dvspark.__file__).parent, tmp_path / "dvspark", ignore=shutil.ignore_patterns("__pycache__", "demo")
    )
    return tmp_path


def ran(code: str, copy: Path) -> str:
    """Run a program with the copy and a cache of its own, and return what it prints."""
    environment = os.environ | {"PYTHONPATH": str(copy), "NUMBA_CACHE_DIR": str(copy / "cache"), "DVSPARK_LOOPS": ""}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return run.stdout


def machine_code(copy: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (copy / "cache").rglob("*.nbc")}


def test_compiled__loop_has_the_constants_of_the_sources_as_they_are(copy: Path) -> None:
    ran(CODED, copy)
    source = copy / "dvspark" / "kernels" / "binning" / "bins.py"
    source.write_text(source.read_text().replace("SHARE_AT_END = 0.125", "SHARE_AT_END = 0.25"))
    ran(CODED, copy)


def test_compiled__loop_is_compiled_once(copy: Path) -> None:
    first = ran(PACKED, copy)
    kept = machine_code(copy)
    assert kept
    assert ran(PACKED, copy) == first
    assert machine_code(copy) == kept
