"""What all benchmarks share: work in a process apart, results with their machine and versions, the command line."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from dvspark.version import __version__
from tests.bench.performance_page import section

ROOT = Path(__file__).parents[2]
PACKAGES = ("numpy", "pyarrow", "pyspark", "numba", "pydvl")
# What decides which kernels OpenBLAS takes and how it cuts them: both or neither, since half of a pair that was
# tuned for another processor makes products several times slower. And what keeps Python from storing what it compiles.
NOT_GIVEN = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE")
# Often enough to see a peak that lasts as long as one product of a block, seldom enough to cost a percent.
SAMPLE_SECONDS = 0.05

Result = dict[str, Any]
Row = dict[str, Any]


def run(main: Callable[[bool], Result]) -> None:
    """Run a benchmark from its command line, print its tables, and write its JSON where asked."""
    parser = argparse.ArgumentParser(description=sys.modules[main.__module__].__doc__)
    parser.add_argument("--tiny", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--out", type=Path, help="file for the result as JSON")
    given = parser.parse_args()
    result = main(given.tiny)
    print(section(result))
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def result(name: str, question: str, method: str, targets: list[Row], tables: dict[str, list[Row]]) -> Result:
    """Return a result as plain data: what was asked and measured, how, on what, with which versions, when."""
    return {
        "benchmark": name,
        "question": question,
        "method": method,
        "command": f"python -m tests.bench.{name}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": _machine(),
        "versions": _versions(),
        "targets": targets,
        "tables": tables,
    }


def at_most(what: str, limit: float, measured: float) -> Row:
    """Return a target that is met by no more than ``limit``."""
    return {"what": what, "bound": "at most", "limit": limit, "measured": measured}


def at_least(what: str, limit: float, measured: float) -> Row:
    """Return a target that is met by no less than ``limit``."""
    return {"what": what, "bound": "at least", "limit": limit, "measured": measured}


def say(text: str) -> None:
    """Say on standard error what is being measured: some benchmarks take minutes."""
    print(text, file=sys.stderr, flush=True)


def environment(threads: int, variables: dict[str, str]) -> dict[str, str]:
    """Return the environment of a measured process: so many BLAS threads, this package, nothing that tunes BLAS.

    Nor anything by which it would have to compile each module that it loads.
    Only OMP_NUM_THREADS is set: Spark sets it for its Python workers, and another variable would win over it.
    """
    given = {name: value for name, value in os.environ.items() if not name.startswith("DVSPARK_")} | variables
    path = os.pathsep.join([str(ROOT), *filter(None, [given.get("PYTHONPATH")])])
    kept = {name: value for name, value in given.items() if name not in NOT_GIVEN and not name.endswith("_NUM_THREADS")}
    return {**kept, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": path}


def apart(
    function: Callable[..., Any],
    *,
    threads: int = 1,
    variables: dict[str, str] | None = None,
    watch: Callable[[], None] | None = None,
    every: float = SAMPLE_SECONDS,
    **arguments: Any,
) -> Any:
    """Return what a module's function returns in a process of its own, whose memory goes when it ends.

    ``arguments`` and the answer are plain data. ``watch`` is called meanwhile, ``every`` so many seconds.
    Raises: RuntimeError with all that the process printed when it fails.
    """
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as folder:
        answer, log = Path(folder) / "answer.json", Path(folder) / "log"
        module = function.__module__
        if module == "__main__":  # a benchmark that is run as a script has its name in its specification
            module = sys.modules[module].__spec__.name
        place = f"{module}:{function.__name__}"
        command = [sys.executable, "-m", "tests.bench.frame", place, json.dumps(arguments), str(answer)]
        with log.open("w") as out:
            surroundings = environment(threads, variables or {})
            process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder, env=surroundings)
            try:
                while process.poll() is None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(None if watch is None else every)
                    if watch is not None:
                        watch()
            finally:  # a benchmark that is stopped leaves nothing running
                process.terminate()
                process.wait()
        if process.returncode:
            raise RuntimeError(f"{place} ended with {process.returncode}:\n{log.read_text(errors='replace')}")
        return json.loads(answer.read_text())


def cpu_seconds(work: Callable[[], object], runs: int) -> float:
    """Return the median CPU seconds of some runs, after one that does not count."""
    work()
    seconds = []
    for _ in range(runs):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return statistics.median(seconds)


def slope(sizes: list[int], seconds: list[float]) -> float:
    """Return the exponent p of seconds ~ sizes ** p, fitted in logarithms."""
    fit = statistics.linear_regression([math.log(size) for size in sizes], [math.log(each) for each in seconds])
    return fit.slope


def _machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"processor": model, "cores": os.cpu_count(), "memory_bytes": memory}


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {**versions, "dvspark": __version__, "commit": _commit()}


def _commit() -> str:
    """Return the commit, with "+" behind it when code was changed since; "unknown" outside a clone."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short=10", "HEAD") + ("+" if git("status", "--porcelain", "--", "*.py") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _answer(place: str, arguments: str, answer: str) -> None:
    module, name = place.split(":")
    found = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    Path(answer).write_text(json.dumps(found))


if __name__ == "__main__":
    _answer(*sys.argv[1:])
