"""How long a new user waits for the first report, and what is installed for it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.frame import Result, Row, at_most, result, run, say
from tests.support.bare_environment import built, installed, variables
from tests.support.bare_environment import run as run_words

QUESTION = "How long does it take from `pip install` to the first report?"
METHOD = """\
Wall time and CPU time of all processes; the two differ where other work shares the cores. The wheel is built from the
repository and installed into a new environment, in the versions of `conf/`, by their sha256; the files come from the
package index or from pip's cache. No Java is there, nor any extra. "Digits" are the 1,797 images of scikit-learn's
`load_digits`, valued by each other (`self_validation`), k = 10, cosine; the demo has 8,000 rows by 2,000. Each run is a
process of its own that reads Parquet, audits, and writes values, run record and report. Sizes are those of files, in MB
of 10⁶ bytes."""
DIGITS_SECONDS = 5.0
# Of the packages that are installed, those that only the report asks for (docs/decisions/0029).
OF_THE_REPORT = (
    "contourpy",
    "cycler",
    "dateutil",
    "fontTools",
    "jinja2",
    "kiwisolver",
    "markupsafe",
    "matplotlib",
    "mpl_toolkits",
    "packaging",
    "PIL",
    "pillow",
    "pylab",
    "pyparsing",
    "tzdata",
)


def main(tiny: bool) -> Result:
    """Return the seconds of each step, and the megabytes that are installed."""
    with tempfile.TemporaryDirectory(prefix="dvspark-bench-") as name:
        folder = Path(name)
        wheel = built("wheel", folder / "dist")
        write_digits(folder / "digits.parquet", 200 if tiny else None)
        say("an environment ...")
        bare = folder / "environment"
        took = _seconds(lambda: installed(wheel, bare))
        steps = [{"step": "make an environment, install the wheel", **took}]
        words = {"digits": ["value", "--train", "digits.parquet", "--self_validation", "true", "--output", "results"]}
        words["digits"] += ["--metric", "cosine", "--k", "10"]
        words["demo"] = ["demo", "--output", "results"]
        for step, what in (("first", "digits"), ("second", "digits"), ("first", "demo"), ("second", "demo")):
            say(f"{what}, {step} run ...")
            work = folder / f"{what}-{step}"
            work.mkdir()
            (work / "digits.parquet").symlink_to(folder / "digits.parquet")
            took = _seconds(lambda asked=words[what], here=work: _run(bare, asked, here))
            assert list(work.glob("results/runs/*/report.html")), "no report"
            steps.append({"step": f"{what}, {step} run, report included", **took})
        sizes = _sizes(bare, wheel)
    targets = [at_most("1,797 digits by each other, first run, s", DIGITS_SECONDS, steps[1]["s"])]
    return result("first_report", QUESTION, METHOD, targets, {"Steps": steps, "What is installed": sizes})


def _seconds(work: Callable[[], object]) -> Row:
    begun, before = time.perf_counter(), os.times()
    work()
    after = os.times()
    cpu = sum(getattr(after, name) - getattr(before, name) for name in ("children_user", "children_system"))
    return {"s": time.perf_counter() - begun, "CPU s": cpu}


def _run(bare: Path, words: list[str], folder: Path) -> None:
    run_words([str(bare / "bin" / "dvspark"), *words], folder, variables(bare))


def _sizes(bare: Path, wheel: Path) -> list[Row]:
    (site,) = bare.glob("lib/python*/site-packages")
    bytes_of = {entry.name: _bytes(entry) for entry in site.iterdir()}
    report = sum(
        size for name, size in bytes_of.items() if name.lower().startswith(tuple(map(str.lower, OF_THE_REPORT)))
    )
    rows = {
        "the wheel": wheel.stat().st_size,
        "all packages": sum(bytes_of.values()),
        "of these, those that only the report asks for": report,
    }
    return [{"what": what, "MB": size / 1e6} for what, size in rows.items()]


def _bytes(place: Path) -> int:
    return sum(file.stat().st_size for file in [place, *place.rglob("*")] if file.is_file())


def write_digits(path: Path, n_rows: int | None) -> None:
    """Write the digits of scikit-learn as a table, or ``n_rows`` of them."""
    from sklearn import datasets

    digits = datasets.load_digits()
    rows = pa.array(list(digits.data.astype(np.float32)))
    table = pa.table({"id": np.arange(len(rows)), "embedding": rows, "label": digits.target})
    pq.write_table(table.slice(0, n_rows), path)


if __name__ == "__main__":
    run(main)
