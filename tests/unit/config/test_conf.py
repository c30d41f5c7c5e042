"""The files in conf/: they load, they are complete, and the schema is the model's."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import dvspark
from dvspark.config.declared import declared_settings
from dvspark.config.job import JobConfig, json_schema
from dvspark.config.sections import OutputConfig, SparkConfig, StreamConfig, TableConfig
from dvspark.config.sources import OF_THE_PACKAGE, load_config

CONF = Path(__file__).parents[3] / "conf"
VALUE = CONF / "jobs" / "value.yaml"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep settings of the caller's environment out of the configuration."""
    for name in os.environ:
        if name.startswith("DVSPARK_"):
            monkeypatch.delenv(name)


def defaults(model: type[Any]) -> dict[str, Any]:
    """Return the defaults of a model's optional fields."""
    return {n: f.get_default(call_default_factory=True) for n, f in model.model_fields.items() if not f.is_required()}


def test_value_yaml__names_every_key() -> None:
    job = yaml.safe_load(VALUE.read_text())
    assert list(job) == list(JobConfig.model_fields)
    models: dict[str, type[Any]] = {
        "train": TableConfig,
        "validation": TableConfig,
        "output": OutputConfig,
        "spark": SparkConfig,
        "stream": StreamConfig,
    }
    for section, model in models.items():
        assert set(job[section]) == set(model.model_fields)


def test_value_yaml__states_the_defaults() -> None:
    config = load_config(VALUE, {})
    sections = ("train", "validation", "output")
    stated = {name: getattr(config, name) for name in JobConfig.model_fields if name not in sections}
    assert stated == {name: value for name, value in defaults(JobConfig).items() if name not in sections}
    assert {**config.output.model_dump(), "path": None} == {**defaults(OutputConfig), "path": None}
    for table in (config.train, config.validation):
        assert table is not None
        stated = table.model_dump(exclude={"path"})
        assert stated == {name: value for name, value in defaults(TableConfig).items() if name != "path"}


def test_value_yaml__explains_every_key() -> None:
    lines = [line for line in VALUE.read_text().splitlines() if re.match(r" *\w+:", line)]
    begin, end = lines.index("validation:"), lines.index("output:")
    first_time = lines[:begin] + lines[end:]  # the keys of validation are those of train
    assert [line for line in first_time if " # " not in line and not line.endswith(":")] == []


def test_value_yaml__says_what_the_declarations_say() -> None:
    lines = dict(re.findall(r"^ *(\w+): (.*)$", VALUE.read_text().split("\nmethod:")[1], flags=re.MULTILINE))
    for setting in declared_settings():
        if setting.name in lines and setting.methods:
            default, said = setting.default, lines[setting.name]
            number = isinstance(default, int | float) and not isinstance(default, bool)
            told = f"{default:g}" if number else str(default).lower() if isinstance(default, bool) else default
            assert default is None or re.search(rf"; null: (.*, else )?{told}\b|; null: {told}\b", said), setting.name
        if setting.name in lines and setting.words != ("true", "false"):
            assert [word for word in setting.words if word not in lines[setting.name]] == []


def test_job_schema__is_that_of_the_model() -> None:
    # python -m dvspark.config.job > conf/job.schema.json
    assert (CONF / "job.schema.json").read_text() == json_schema()


def test_job_schema__accepts_the_example() -> None:
    validate = pytest.importorskip("jsonschema").validate
    schema = yaml.safe_load(json_schema())
    job = yaml.safe_load(VALUE.read_text())
    validate(job, schema)
    validate({**job, "train": "train.parquet"}, schema)


@pytest.mark.parametrize("name", ["spark/cluster.conf", "log4j2.properties"])
def test_properties__every_setting_has_a_reason_above(name: str) -> None:
    explained = False
    for line in (CONF / name).read_text().splitlines():
        if not line.strip():
            explained = False
        elif line.startswith("#"):
            explained = True
        else:
            assert explained, f"{name}: no reason above {line!r}"
            if name.endswith(".conf"):
                assert re.fullmatch(r"spark\.[\w.]+ +\S+", line)


# --- the versions of all packages ---------------------------------------------------------------------------


def pinned(name: str) -> dict[str, str]:
    """Return the version of each package in a file of requirements."""
    pins = re.findall(r"^([\w.-]+)==([^\s;\\]+)", (CONF / name).read_text(), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in pins}


def test_requirements__are_the_versions_of_the_constraints() -> None:
    known = {**pinned("requirements-java.txt"), **pinned("requirements.txt")}
    constraints = pinned("constraints.txt")
    assert {name: known.get(name) for name in constraints} == constraints
    assert pinned("requirements-java.txt").items() <= {**pinned("requirements.txt"), **constraints}.items()


def test_requirements__have_all_that_the_project_asks_for() -> None:
    project = tomllib.loads((CONF.parent / "pyproject.toml").read_text())
    makefile = (CONF.parent / "Makefile").read_text()
    extras = re.findall(r"^EXTRAS := (.*)$", makefile, re.MULTILINE)[0].split(",")
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    asked += [one for extra in extras for one in project["project"]["optional-dependencies"][extra]]
    names = {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", one)[0]).lower() for one in asked}
    assert names - pinned("requirements.txt").keys() == set(), "make requirements writes them"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-java.txt"])
def test_requirements__have_a_sha256_each(name: str) -> None:
    text = re.sub(r"^#.*\n", "", (CONF / name).read_text(), flags=re.MULTILINE).replace("\\\n", "")
    for line in filter(None, text.splitlines()):
        assert re.fullmatch(r"[\w.-]+==\S+( ; [^\\]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", line), line


def test_make__installs_files_of_known_sha256_alone() -> None:
    recipe = (CONF.parent / "Makefile").read_text().split("$(READY): ")[1].split("\n\n")[0]
    installs = [line for line in recipe.splitlines() if "pip install" in line]
    assert len(installs) == 5
    assert all("$(HASHED)" in line or "--no-deps --no-build-isolation --editable ." in line for line in installs)


def test_settings__have_no_name_that_an_environment_variable_of_the_package_has() -> None:
    # Each setting is read from DVSPARK_NAME, so that of another meaning would be taken for it.
    package = Path(dvspark.__file__).parent
    known = {name for file in package.rglob("*.py") for name in re.findall(r'"DVSPARK_([A-Z_]+)"', file.read_text())}
    assert known == {*OF_THE_PACKAGE, "LOG_FORMAT"}
    assert {name.upper() for name in JobConfig.model_fields} & known <= {"LOG_FORMAT"}
