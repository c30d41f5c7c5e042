"""`dvspark init`: the settings file that the package carries, written once and never over another file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dvspark.cli import main
from dvspark.cli.init import settings_file
from dvspark.config.sources import load_config

ROOT = Path(__file__).parents[3]


def test_settings_file__is_the_one_in_conf() -> None:
    # dvspark init --force conf/jobs/value.yaml
    assert (ROOT / "conf" / "jobs" / "value.yaml").read_text(encoding="utf-8") == settings_file()


def test_settings_file__is_read_where_the_package_is_a_zip(tmp_path: Path) -> None:
    packed = tmp_path / "dvspark.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for path in (ROOT / "dvspark").rglob("*"):
            if path.suffix in (".py", ".yaml"):
                file.write(path, path.relative_to(ROOT))
    environment = {**os.environ, "PYTHONPATH": str(packed)}
    command = [sys.executable, "-m", "dvspark", "init"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (tmp_path / "value.yaml").read_text(encoding="utf-8") == settings_file()


def test_init__writes_a_file_that_is_a_job_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "dvspark value value.yaml" in out
    assert load_config(tmp_path / "value.yaml", {}).method == "knn_shapley"


def test_init__never_overwrites_unless_told(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("k: 3\n")
    assert main(["init", str(path)]) == 4
    out, err = capsys.readouterr()
    line = json.loads(err)
    assert (out, line["error"], line["exit_code"]) == ("", "OutputConflictError", 4)
    assert "--force" in line["message"]
    assert path.read_text() == "k: 3\n"
    assert main(["init", "--force", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == settings_file()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["none/job.yaml"], 2, "No such file or directory"),
        (["."], 4, "a path where nothing is"),
        ([".", "--force"], 2, "Is a directory"),
        (["a\0b"], 2, "null byte"),
        (["a", "b"], 2, "dvspark init [PATH]"),
        (["--forced"], 2, "did you mean '--force'"),
        (["--force=yes"], 2, "no value"),
    ],
)
def test_init__what_cannot_be_is_refused(
    words: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", *words]) == code
    out, err = capsys.readouterr()
    assert out == ""
    message = json.loads(err)["message"]
    assert said in message
    assert "what to do" in message
    assert list(tmp_path.iterdir()) == []
