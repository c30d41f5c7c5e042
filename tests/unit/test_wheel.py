"""The wheel: what a user gets who installs the package, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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
    "dvspark/spark/log4j2.properties": "dvspark/spark/log4j2.properties",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel__has_every_module_and_file_of_the_package_and_no_tests(wheel: zipfile.ZipFile) -> None:
    found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "dvspark").rglob("*.py")}
    assert found == modules | set(FILES)
    assert {name.partition("/")[0] for name in found} == {"dvspark"}


def test_wheel__files_are_those_of_the_repository(wheel: zipfile.ZipFile) -> None:
    assert [name for name, source in FILES.items() if wheel.read(name) != (ROOT / source).read_bytes()] == []


def test_wheel__says_where_the_project_is(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    metadata = message_from_string(wheel.read(name).decode())
    urls = dict(url.split(", ") for url in metadata.get_all("Project-URL", []))
    assert set(urls) == {"Changelog", "Documentation", "Issues", "Source"}
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
