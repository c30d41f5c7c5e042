"""The master that Spark's own settings name is found where Spark itself, started without one, finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvspark.spark import defaults
from dvspark.spark.defaults import default_master

pytest.importorskip("pyspark")

DEFAULTS = """\
# spark.master commented
spark.masters        other
spark.master         local[7]
spark.driver.memory  1g
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PYSPARK_SUBMIT_ARGS", "SPARK_HOME", "SPARK_CONF_DIR", "MASTER"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "conf").mkdir()
    return tmp_path


def test_default_master__nothing_names_one() -> None:
    assert default_master() is None


@pytest.mark.parametrize(
    ("text", "master"),
    [
        (DEFAULTS, "local[7]"),
        ("spark.master=yarn", "yarn"),
        ("spark.master : spark://host:7077\r\n", "spark://host:7077"),
        ("spark.master a\n  spark.master b", "b"),
        ("spark.remote sc://host", "sc://host"),
        ("spark.master.rest.enabled true\n#spark.master a", None),
    ],
)
def test_default_master__of_spark_defaults(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, master: str
) -> None:
    path = folder / "conf" / "spark-defaults.conf"
    path.write_text(text)
    for name, place in (("SPARK_HOME", folder), ("SPARK_CONF_DIR", folder / "conf")):
        with monkeypatch.context() as patched:
            patched.setenv(name, str(place))
            assert default_master() == (None if master is None else (master, str(path)))


@pytest.mark.parametrize(
    "words", ["--master local[3] pyspark-shell", "--conf spark.master=local[3] pyspark-shell", "--remote 'local[3]'"]
)
def test_default_master__words_come_before_files(folder: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    (folder / "conf" / "spark-defaults.conf").write_text(DEFAULTS)
    monkeypatch.setenv("SPARK_CONF_DIR", str(folder / "conf"))
    monkeypatch.setenv("MASTER", "local[5]")
    assert default_master()[0] == "local[7]"
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", words)
    assert default_master() == ("local[3]", "PYSPARK_SUBMIT_ARGS")


def test_default_master__of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER", "local[5]")
    assert default_master() == ("local[5]", "MASTER")
    monkeypatch.setattr(defaults, "find_spec", lambda _: None)
    assert default_master() is None
