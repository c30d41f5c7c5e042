"""The configuration: what wins, what is an error, and that all errors are told at once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from dvspark.config.declared import declared_settings, expected_of
from dvspark.config.fields import PARAMETERS
from dvspark.config.job import JobConfig, json_schema
from dvspark.config.settings_text import LARGEST_TEXT_BYTES
from dvspark.config.sources import load_config, parse_overrides
from dvspark.errors import ConfigError
from dvspark.methods import METHODS

PLACES = ("--train", "t.parquet", "--validation", "v.parquet", "--output", "out")
YAML_PLACES = "train: t.parquet\nvalidation: v.parquet\noutput: out\n"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("DVSPARK_")]:
        monkeypatch.delenv(name)


def types_in_schema(name: str) -> set[str]:
    """Return the types that the JSON Schema gives a setting; a date and a word of a list are none."""
    schema = json.loads(json_schema())
    node: dict[str, Any] = schema
    for part in name.split("."):
        options = [node, *node.get("anyOf", [])]
        (reference,) = [one["$ref"] for one in options if "$ref" in one] or [None]
        node = (schema["$defs"][reference.rpartition("/")[2]] if reference else node)["properties"][part]
    options = [one for one in [node, *node.get("anyOf", [])] if "format" not in one]
    return {one["type"] for one in options if "type" in one and not ("enum" in one and "const" in one)}


@pytest.fixture
def file_of(tmp_path: Path) -> Any:
    """Write a configuration and return its path."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "job.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def config_of(*words: str, path: Path | None = None) -> JobConfig:
    return load_config(path, parse_overrides(words))


def refusal(*words: str, path: Path | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        config_of(*words, path=path)
    assert caught.value.exit_code == 2
    return caught.value


# --- layers -----------------------------------------------------------------------------------------------


def test_load_config__the_command_line_wins_over_the_environment_over_the_file(
    file_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file_of(YAML_PLACES + "k: 3\nmetric: cosine\nties: average\n")
    config = config_of(path=path)
    assert (config.k, config.metric, config.ties, config.aggregate) == (3, "cosine", "average", "mean")
    monkeypatch.setenv("DVSPARK_K", "5")
    monkeypatch.setenv("DVSPARK_METRIC", "inner_product")
    config = config_of("--k", "7", path=path)
    assert (config.k, config.metric, config.ties, config.aggregate) == (7, "inner_product", "average", "mean")


def test_load_config__layers_meet_within_a_section(file_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_of(
        "train: {path: t.parquet, id: file_id, label: file_label, embedding: e}\nvalidation: v\noutput: out\n"
    )
    monkeypatch.setenv("DVSPARK_TRAIN__ID", "env_id")
    monkeypatch.setenv("DVSPARK_TRAIN__LABEL", "env_label")
    train = config_of("--train.label", "word_label", path=path).train
    assert (train.path, train.id, train.label, train.embedding) == ("t.parquet", "env_id", "word_label", "e")
    assert config_of("--train", "other.parquet", path=path).train.id == "env_id"


EXCLUDING = {
    "a name over a path": (("--train.table", "t2"), {"table": "t2"}),
    "a path over a path": (("--train", "p2"), {"path": "p2"}),
    "a path and its state": (("--train", "p2", "--train.version", "7"), {"path": "p2", "version": 7}),
    "a snapshot over a version": (("--train.snapshot", "7"), {"path": "p", "snapshot": 7}),
    "a column alone": (("--train.id", "key"), {"path": "p", "version": 3}),
}


@pytest.mark.parametrize("by", ["environment", "command line"])
@pytest.mark.parametrize("case", EXCLUDING)
def test_load_config__of_places_and_states_those_of_the_later_source_stay(
    file_of: Any, monkeypatch: pytest.MonkeyPatch, case: str, by: str
) -> None:
    form = "iceberg" if "snapshot" in case else "delta"
    path = file_of(f"train: {{path: p, version: 3, format: {form}, label: l}}\nvalidation: v\noutput: o\n")
    words, expected = EXCLUDING[case]
    if by == "environment":
        for name, value in zip(words[::2], words[1::2], strict=True):
            place = "train.path" if name == "--train" else name.removeprefix("--")
            monkeypatch.setenv(f"DVSPARK_{place.upper().replace('.', '__')}", value)
        words = ()
    train = config_of(*words, path=path).train
    got = {name: getattr(train, name) for name in ("path", "table", "version", "snapshot")}
    assert {name: value for name, value in got.items() if value is not None} == expected
    assert (train.format, train.label) == (form, "l")


def test_load_config__the_command_line_puts_a_place_over_that_of_the_environment(
    file_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVSPARK_TRAIN__TABLE", "of.environment")
    monkeypatch.setenv("DVSPARK_TRAIN__ID", "key")
    train = config_of("--train", "p2", path=file_of(YAML_PLACES)).train
    assert (train.path, train.table, train.id) == ("p2", None, "key")


def test_load_config__a_path_alone_names_a_table_or_the_output_in_the_environment_too(
    file_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TRAIN", "VALIDATION", "OUTPUT"):
        monkeypatch.setenv(f"DVSPARK_{name}", f"/data/{name}")
    monkeypatch.setenv("DVSPARK_TRAIN__ID", "key")
    config = config_of(path=file_of("train: {path: p, version: 3, format: delta}\nself_validation: true\noutput: o\n"))
    train = config.train
    assert (train.path, train.version, train.format, train.id) == ("/data/TRAIN", None, "delta", "key")
    assert config.validation is not None
    assert (config.validation.path, config.self_validation) == ("/data/VALIDATION", False)
    assert config.output.path == "/data/OUTPUT"


def test_load_config__a_validation_table_and_self_validation_take_each_others_place(file_of: Any) -> None:
    assert config_of("--self_validation", path=file_of(YAML_PLACES)).validation is None
    alone = file_of("train: t\nself_validation: true\noutput: o\n")
    config = config_of("--validation.table", "v", path=alone)
    assert config.validation is not None
    assert not config.self_validation
    assert config_of("--validation.id", "key", "--validation.table", "v", path=alone).validation is not None
    assert refusal("--validation.id", "key", path=alone).problems[0].where == "validation"
    assert config_of("--self_validation", "false", path=file_of(YAML_PLACES)).validation is not None


def test_load_config__both_of_one_source_are_refused(file_of: Any) -> None:
    (problem,) = refusal(path=file_of("train: {path: p, table: t}\nvalidation: v\noutput: o\n")).problems
    assert (problem.where, problem.got) == ("train", "both")
    (problem,) = refusal("--train", "p", "--train.table", "t", path=file_of(YAML_PLACES)).problems
    assert (problem.where, problem.got) == ("train", "both")


def test_load_config__needs_no_file() -> None:
    config = config_of(*PLACES)
    assert (config.train.path, config.output.path) == ("t.parquet", "out")
    assert config.validation is not None
    assert config.validation.path == "v.parquet"
    assert (config.method, config.on_bad_row, config.report) == ("knn_shapley", "fail", True)


def test_load_config__a_section_may_be_just_its_path(file_of: Any) -> None:
    short = config_of(path=file_of(YAML_PLACES))
    long = config_of(path=file_of("train: {path: t.parquet}\nvalidation: {path: v.parquet}\noutput: {path: out}\n"))
    assert short.model_dump() == long.model_dump() == config_of(*PLACES).model_dump()


def test_load_config__options_are_those_of_the_valuation() -> None:
    words = ("--method", "soft_knn_shapley", "--k", "4", "--n_classes", "9", "--ties", "average", "--tolerance", "1e-6")
    options = config_of(*PLACES, *words, "--precision", "float64", "--aggregate", "sum").options()
    assert (options.method, options.parameters) == ("soft_knn_shapley", {"k": 4, "n_classes": 9})
    assert not options.error_bound
    assert config_of(*PLACES, "--error_bound", "true").options().error_bound is True
    assert (options.ties, options.precision, options.aggregate, options.tolerance) == (
        "average",
        "float64",
        "sum",
        1e-6,
    )
    assert config_of(*PLACES).options().resolved(3).plain() == {"k": 10}


# --- words of the command line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("--train", "P", "--train.id", "x"),
        ("--train.id", "x", "--train", "P"),
        ("--train=P", "--train.id=x"),
        ("--train.path", "P", "--train.id", "x"),
    ],
)
def test_parse_overrides__a_path_and_its_columns_come_in_any_order(words: tuple[str, ...]) -> None:
    assert parse_overrides(words) == {"train": {"path": "P", "id": "x"}}


@pytest.mark.parametrize("words", [["--K", "6", "--k", "7"], ["--train-id", "a", "--k", "7", "--TRAIN_ID=b"]])
def test_parse_overrides__one_setting_in_two_cases_is_refused(words: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"each setting once\n    got: (K and k|train_id and TRAIN_ID)"):
        parse_overrides(words)


def test_parse_overrides__hyphens_are_underscores_in_names_only() -> None:
    words = ["--on-bad-row", "reject", "--work-dir", "/some-where/my-dir", "--train.id", "my-id"]
    expected = {"on_bad_row": "reject", "work_dir": "/some-where/my-dir", "train": {"id": "my-id"}}
    assert parse_overrides(words) == expected
    assert config_of(*PLACES, "--on-bad-row", "reject").on_bad_row == "reject"


def test_parse_overrides__the_name_of_a_spark_setting_keeps_its_dots() -> None:
    words = [
        "--spark.conf.spark.executor.memory",
        "8g",
        "--spark.conf.spark.my-app.x=a=b",
        "--spark.master",
        "local[2]",
    ]
    conf = {"spark.executor.memory": "8g", "spark.my-app.x": "a=b"}
    assert parse_overrides(words) == {"spark": {"conf": conf, "master": "local[2]"}}
    assert config_of(*PLACES, *words).spark.conf == conf


def test_parse_overrides__the_last_of_equal_words_counts() -> None:
    assert parse_overrides(["--k", "1", "--k=2"]) == {"k": "2"}
    assert parse_overrides(["--train", "a", "--train", "b"]) == {"train": {"path": "b"}}


@pytest.mark.parametrize(
    "words", [["--k"], ["k", "3"], ["-k", "3"], ["--k", "3", "--metric"], ["--train.path.x", "1", "--train.path"]]
)
def test_parse_overrides__words_that_are_no_pairs_are_refused(words: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"--section\.key VALUE"):
        parse_overrides(words)


def test_parse_overrides__a_value_is_no_section() -> None:
    with pytest.raises(ConfigError, match="path has a value already"):
        parse_overrides(["--train", "P", "--train.path.x", "1"])


# --- errors -----------------------------------------------------------------------------------------------


def test_load_config__unknown_settings_at_any_depth_are_told_at_once() -> None:
    words = ("--metrc", "x", "--train.idd", "y", "--spark.mastr", "z", "--output.pth", "w", "--validation.ownr", "u")
    error = refusal(*PLACES, *words)
    found = {problem.where: problem.hint for problem in error.problems}
    assert found == {
        "metrc": "did you mean 'metric'?",
        "train.idd": "did you mean 'train.id'?",
        "spark.mastr": "did you mean 'spark.master'?",
        "output.pth": "did you mean 'output.path'?",
        "validation.ownr": "did you mean 'validation.owner'?",
    }


def test_load_config__unknown_settings_of_a_file_and_the_environment_are_errors(
    file_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVSPARK_OUTPUT__PTH", "w")
    error = refusal(path=file_of(YAML_PLACES + "mehtod: knn_shapley\nspark: {mster: x}\n1: one\n"))
    assert {problem.where for problem in error.problems} == {"mehtod", "spark.mster", "1", "output.pth"}
    assert "did you mean 'method'?" in str(error)


def test_load_config__variables_without_effect_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("METIRC", "TRAIN_PATH", "PORT_80_TCP", "metric", "TRAIN__ID", "CACHE", "LOG_FORMAT"):
        monkeypatch.setenv(f"DVSPARK_{name}", {"metric": "cosine", "LOG_FORMAT": "json"}.get(name, "x"))
    caplog.set_level("WARNING", "dvspark")
    assert config_of(*PLACES).metric == "cosine"
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert [line for line in said.splitlines() if line.startswith("note: ")] == [
        f"note: environment variable DVSPARK_{name}" for name in ("METIRC", "PORT_80_TCP", "TRAIN_PATH")
    ]
    assert "did you mean 'METRIC'" in said
    assert "did you mean 'TRAIN__PATH'" in said


WRONG_VALUES = {
    "k": "many",
    "n_classes": "1.5",
    "tolerance": "small",
    "chunk_rows": "0",
    "report": "perhaps",
    "on_bad_row": "skip",
    "log_format": "xml",
    "self_validation": "2",
    "error_bound": "by row",
    "spark": "local",
    "spark.conf": "x",
}


@pytest.mark.parametrize(("name", "value"), WRONG_VALUES.items())
def test_load_config__a_value_of_the_wrong_kind_is_an_error(name: str, value: str) -> None:
    (problem,) = refusal(*PLACES, f"--{name}", value).problems
    assert (problem.where, problem.got) == (name, repr(value))
    assert problem.hint


def test_load_config__values_of_the_wrong_kind_are_told_at_once() -> None:
    words = [word for name, value in WRONG_VALUES.items() if name != "spark.conf" for word in (f"--{name}", value)]
    found = {problem.where for problem in refusal(*PLACES, *words).problems}
    assert found == set(WRONG_VALUES) - {"spark.conf"}


# Settings that pydantic reads as another type than text; what a text must be is checked later, all at once.
TYPED = sorted(
    name for name in {s.name for s in declared_settings()} if not {"string", "object"} & types_in_schema(name)
)
TYPED += ["train.embedding_dtype", "on_bad_row", "log_format"]


@pytest.mark.parametrize("source", ["command line", "environment", "file"])
@pytest.mark.parametrize("name", TYPED)
def test_load_config__a_value_of_the_wrong_kind_is_told_what_the_setting_accepts(
    name: str, source: str, file_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"train": {"path": "t"}, "validation": {"path": "v"}, "output": {"path": "o"}}
    section, _, key = name.rpartition(".")
    if section == "owned":
        settings |= {"owned": {"path": "w"}, "method": "knn_acquisition_shapley"}
    words = ()
    if source == "command line":
        words = (f"--{name}", "five")
    elif source == "environment":
        monkeypatch.setenv(f"DVSPARK_{name.upper().replace('.', '__')}", "five")
    elif section:
        settings.setdefault(section, {})[key] = "five"
    else:
        settings[name] = "five"
    (problem,) = refusal(*words, path=file_of(yaml.safe_dump(settings))).problems
    assert (problem.where, problem.expected, problem.got) == (name, expected_of(name), "'five'")


def test_load_config__five_is_no_count_of_neighbors() -> None:
    (problem,) = refusal(*PLACES, "--k", "five").problems
    assert (problem.expected, problem.got) == ("a whole number of at least 1", "'five'")
    (problem,) = refusal(*PLACES, "--method", "threshold_knn_loo", "--radius", "five").problems
    assert problem.expected.startswith("a number or 'auto'")


def test_load_config__a_number_among_sparks_settings_is_told_to_be_quoted(file_of: Any) -> None:
    path = file_of(YAML_PLACES + "spark: {conf: {spark.executor.cores: 4}}\n")
    (problem,) = refusal(path=path).problems
    assert (problem.where, problem.got) == ("spark.conf.spark.executor.cores", "4")
    assert "in quotes" in problem.expected


def test_load_config__a_value_of_neither_of_two_types_is_told_once(file_of: Any) -> None:
    (problem,) = refusal(path=file_of(YAML_PLACES + "radius: [1]\n")).problems
    assert problem.where == "radius"
    assert problem.expected.startswith("a number or 'auto', for threshold_knn_shapley")


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("--method", "knn"), "method"),
        (("--metric", "l2"), "metric"),
        (("--precision", "half"), "precision"),
        (("--ties", "random"), "ties"),
        (("--aggregate", "max"), "aggregate"),
        (("--ranking", "heap"), "ranking"),
        (("--tolerance", "2"), "tolerance"),
        (("--k", "0"), "parameter 'k'"),
        (("--method", "soft_knn_shapley", "--n_classes", "0"), "parameter 'n_classes'"),
        (("--train.table", "also"), "train"),
        (("--validation.table", "also"), "validation"),
        (("--self_validation", "true"), "validation"),
        (("--run_id", "a/b"), "run_id"),
        (("--plan", "replicate"), "plan"),
        (("--host_memory", "64"), "host_memory"),
    ],
)
def test_load_config__what_single_settings_cannot_know_is_checked(words: tuple[str, ...], where: str) -> None:
    assert [problem.where for problem in refusal(*PLACES, *words).problems] == [where]


def test_load_config__problems_between_settings_are_told_at_once() -> None:
    words = ("--train.table", "t", "--self_validation", "true", "--k", "0", "--metric", "l2", "--run_id", "/")
    found = {problem.where for problem in refusal(*PLACES, *words).problems}
    assert found == {"train", "validation", "parameter 'k'", "metric", "run_id"}


def test_load_config__a_table_needs_a_place() -> None:
    error = refusal("--train.id", "x", "--validation", "v", "--output", "o")
    assert [(problem.where, problem.got) for problem in error.problems] == [("train", "neither")]


def test_load_config__validation_is_a_table_or_the_train_rows() -> None:
    assert "--self_validation true" in str(refusal("--train", "t", "--output", "o"))
    config = config_of("--train", "t", "--output", "o", "--self_validation", "true")
    assert config.validation is None
    assert config.options().self_validation


def test_load_config__what_is_missing_is_named() -> None:
    error = refusal()
    assert [problem.where for problem in error.problems] == ["train", "output"]
    assert "--train VALUE" in str(error)


def test_load_config__an_environment_variable_that_is_no_section_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVSPARK_SPARK", "{not json")
    assert [problem.where for problem in refusal(*PLACES).problems] == ["environment"]


# --- files ------------------------------------------------------------------------------------------------


UNUSABLE_FILES = {
    "a list": ("- train\n- validation\n", "got: list"),
    "a word": ("train\n", "got: str"),
    "nothing": ("", "got: NoneType"),
    "broken YAML": ("train: [t\n", "a readable YAML file"),
    "a tab": ("train:\n\t- t\n", "a readable YAML file"),
    "other letters than UTF-8": ("metric: é\n".encode("latin-1"), "a readable YAML file"),
    "a zero byte": (b"train: \0\n", "a readable YAML file"),
    "an object": ('train: !!python/object/apply:os.system ["true"]\n', "a readable YAML file"),
    "too large": ("# " + "x" * LARGEST_TEXT_BYTES, "at most 262144 bytes"),
    "too deep": ("[" * 100_000, "a readable YAML file"),
}


@pytest.mark.parametrize(("content", "said"), UNUSABLE_FILES.values(), ids=UNUSABLE_FILES)
def test_load_config__a_file_that_holds_no_settings_is_refused(file_of: Any, content: str | bytes, said: str) -> None:
    path = file_of(content)
    error = refusal(*PLACES, path=path)
    assert len(error.problems) == 1
    assert str(path) in str(error)
    assert said in str(error)


@pytest.mark.parametrize("number", ["010", "1:30", "-0_7", ":".join(["59"] * 500)])
def test_load_config__a_number_that_means_another_one_to_yaml_is_refused(file_of: Any, number: str) -> None:
    assert "octal" in str(refusal(path=file_of(YAML_PLACES + f"k: {number}\n")))


@pytest.mark.parametrize(("number", "k"), [("7", 7), ("1_000", 1000), ("0x10", 16), ("'010'", 10)])
def test_load_config__plain_numbers_are_read(file_of: Any, number: str, k: int) -> None:
    assert config_of(path=file_of(YAML_PLACES + f"k: {number}\n")).k == k


@pytest.mark.parametrize("name", ["k", "n_classes", "tolerance", "chunk_rows", "epsilon", "radius", "version"])
@pytest.mark.parametrize("word", ["true", "yes"])
def test_load_config__a_truth_is_no_number(file_of: Any, name: str, word: str) -> None:
    text = f"train: {{path: t, format: delta, version: {word}}}\nvalidation: v\noutput: o\n"
    text = text if name == "version" else YAML_PLACES + f"{name}: {word}\n"
    (problem,) = refusal(path=file_of(text)).problems
    assert (problem.where, problem.expected) == (
        "train.version" if name == "version" else name,
        "a number, not true or false",
    )


def test_load_config__a_setting_in_two_cases_is_refused(file_of: Any) -> None:
    assert "k and K" in str(refusal(path=file_of(YAML_PLACES + "k: 7\nK: 6\n")))
    assert "train and Train" in str(refusal(path=file_of(YAML_PLACES + "Train: {path: other}\n")))


def test_load_config__a_file_as_large_as_allowed_is_read(file_of: Any) -> None:
    content = YAML_PLACES + "#"
    assert config_of(path=file_of(content + "x" * (LARGEST_TEXT_BYTES - len(content)))).train.path == "t.parquet"


def test_load_config__a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert "No such file" in str(refusal(path=tmp_path / "none.yaml"))
    assert "directory" in str(refusal(path=tmp_path))


def test_load_config__references_that_multiply_are_told_briefly(file_of: Any) -> None:
    # Each level holds the one before nine times: written out, the last has 9^12 elements.
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    error = refusal(path=file_of("a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "\n".join(levels) + "\n" + YAML_PLACES))
    assert len(error.problems) == 1
    assert len(str(error)) < 1_000


# --- run ids ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "run_id",
    ["../../etc", "", "a" * 101, "a" * 200, ".hidden", "..", "a/b", "a b", "-a", "a\n", "é", "a\\b", "a=b", "a%2F"],
)
def test_load_config__a_run_id_that_is_no_plain_name_is_refused(run_id: str) -> None:
    (problem,) = refusal(*PLACES, "--run_id", run_id).problems
    assert (problem.where, problem.got) == ("run_id", repr(run_id))


@pytest.mark.parametrize("run_id", ["a", "run-2024-01-01", "a" * 100, "Run_1.2-b", "a0"])
def test_load_config__a_plain_name_is_a_run_id(run_id: str) -> None:
    assert config_of(*PLACES, "--run_id", run_id).run_id == run_id


def test_load_config__tells_problems_of_fields_and_of_the_method_at_once(tmp_path: Path) -> None:
    given = {"train": "a", "validation": "b", "output": "c", "metrik": "cosine", "chunk_rows": "many", "k": "0"}
    with pytest.raises(ConfigError) as caught:
        load_config(None, {**given, "method": "knn_shaply", "run_id": "../x"})
    where = {problem.where for problem in caught.value.problems}
    assert {"metrik", "chunk_rows", "method", "run_id"} <= where


@pytest.mark.parametrize(("name", "value"), [("on_bad_row", "rejekt"), ("plan", "shard"), ("host_memory", "much")])
def test_value_table__an_unknown_choice_is_refused_not_taken_for_the_default(name: str, value: str) -> None:
    from dvspark.run.frames.value_frames import value_table

    with pytest.raises(ConfigError, match=name):
        value_table(None, object(), **{name: value})  # type: ignore[arg-type]


# --- parameters of methods --------------------------------------------------------------------------------


def test_parameters__are_those_of_the_methods() -> None:
    known = {parameter.name for method in METHODS.values() for parameter in method.parameters}
    assert set(PARAMETERS) == known
    assert len(set(PARAMETERS)) == len(PARAMETERS)
    assert set(PARAMETERS) <= set(JobConfig.model_fields)


PRIVATE = ("--method", "dp_threshold_knn_shapley")
TEXTS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "radius": (("--method", "threshold_knn_loo", "--radius", "0.5"), {"radius": 0.5}),
    "whole radius": (("--method", "threshold_knn_loo", "--radius", "2"), {"radius": 2.0}),
    "radius auto": (("--method", "threshold_knn_loo", "--radius", "auto"), {"radius": "auto"}),
    "empty utility": (("--method", "knn_regression_shapley", "--empty_utility", "-1e-3"), {"empty_utility": -0.001}),
    "formula": (("--method", "knn_regression_shapley", "--empty_utility", "formula"), {"empty_utility": "formula"}),
    "semivalue": (("--method", "knn_beta", "--alpha", "4", "--beta", "1.5"), {"alpha": 4.0, "beta": 1.5}),
    "utility": (("--method", "knn_loo", "--utility", "wang2023", "--k", "3"), {"utility": "wang2023", "k": 3}),
    "few players": (("--method", "ame", "--fit", "lasso", "--penalty", "0.5"), {"fit": "lasso", "penalty": 0.5}),
    "a head": (("--method", "influence", "--penalty", "0.1"), {"penalty": 0.1}),
    "classes far apart": (("--method", "lava", "--label_weight", "2"), {"label_weight": 2.0}),
    "a network": (
        ("--method", "dvrl", "--steps", "50", "--batch_rows", "100", "--seed", "3"),
        {"steps": 50, "batch_rows": 100, "seed": 3},
    ),
    "truncated": (
        ("--method", "truncated_knn_shapley", "--k_star", "40", "--index", "IVF64,SQ8"),
        {"k_star": 40, "index": "IVF64,SQ8"},
    ),
    "an error": (
        ("--method", "truncated_knn_shapley", "--epsilon", "0.01", "--tail", "bound"),
        {"epsilon": 0.01, "tail": "bound"},
    ),
    "weighted": (
        ("--method", "weighted_knn_shapley", "--kind", "hard", "--bits", "2", "--n_nearest", "50", "--k", "3"),
        {"kind": "hard", "bits": 2, "n_nearest": 50, "k": 3},
    ),
    "by distance": (
        ("--method", "weighted_knn_shapley", "--weight", "rbf", "--gamma", "0.25"),
        {"weight": "rbf", "gamma": 0.25},
    ),
    "epochs": (
        (
            "--method",
            "chg_shapley",
            "--variant",
            "gradient",
            "--by",
            "label",
            "--epochs",
            "3",
            "--batch_rows",
            "9",
            "--learning_rate",
            ".5",
            "--seed",
            "0",
        ),
        {"variant": "gradient", "by": "label", "epochs": 3, "batch_rows": 9, "learning_rate": 0.5, "seed": 0},
    ),
    "gradients given": (
        ("--method", "chg_shapley", "--source", "gradients", "--variant", "chg"),
        {"source": "gradients", "variant": "chg"},
    ),
    "owners protected": (
        (*PRIVATE, "--epsilon", "1", "--delta", "1e-9", "--unit", "owner", "--rows_per_owner", "3"),
        {"epsilon": 1.0, "delta": 1e-9, "unit": "owner", "rows_per_owner": 3},
    ),
    "a game": (
        ("--method", "monte_carlo_beta", "--utility", "threshold_knn", "--radius", "2", "--sampling", "stratified"),
        {"utility": "threshold_knn", "radius": 2.0, "sampling": "stratified"},
    ),
    "a game of owners": (
        ("--method", "ame", "--players", "owners", "--target", "number", "--seed", "0", "--cache_worths", "true"),
        {"players": "owners", "target": "number", "seed": 0, "cache_worths": True},
    ),
    "rules": (
        ("--method", "monte_carlo_shapley", "--evaluations", "5000", "--standard_error", "0.1", "--utility_range", "1"),
        {"evaluations": 5000, "standard_error": 0.1, "utility_range": 1.0},
    ),
    "orders": (
        ("--method", "monte_carlo_shapley", "--strata", "4", "--truncation", "0.01", "--bound", "hoeffding"),
        {"strata": 4, "truncation": 0.01, "bound": "hoeffding"},
    ),
    "a budget": (
        (*PRIVATE, "--epsilon", "1", "--delta", "1e-9", "--sampling_rate", ".5", "--adjacency", "add_remove"),
        {"epsilon": 1.0, "delta": 1e-9, "sampling_rate": 0.5, "adjacency": "add_remove"},
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_parameters__texts_of_the_command_line_and_the_environment_are_numbers_and_words(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, expected = TEXTS[name]
    found = config_of(*PLACES, *words).options().parameters
    assert found == expected
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in expected.items()}
    for key, value in zip(words[::2], words[1::2], strict=True):
        monkeypatch.setenv(f"DVSPARK_{key.removeprefix('--').upper()}", value)
    assert config_of(*PLACES).options().parameters == expected


def test_parameters__every_one_is_tried_as_text() -> None:
    tried = {name for _, found in TEXTS.values() for name in found}
    assert tried == set(PARAMETERS) - {"n_classes"}  # which has a test above


@pytest.mark.parametrize("value", ["far", "nan", "inf", "-inf", "Auto", ""])
def test_parameters__a_radius_that_is_neither_number_nor_word_is_refused(value: str) -> None:
    (problem,) = refusal(*PLACES, "--method", "threshold_knn_shapley", f"--radius={value}").problems
    assert problem.where == "parameter 'radius'"
    assert problem.expected.startswith("a number or 'auto'")


def test_parameters__of_another_method_are_refused() -> None:
    found = refusal(*PLACES, "--method", "threshold_knn_shapley", "--k", "3", "--alpha", "4").problems
    assert [problem.where for problem in found] == ["parameter 'k'", "parameter 'alpha'"]


def test_load_config__a_method_that_validates_itself_has_one_table() -> None:
    config = config_of("--train", "t", "--output", "o", "--method", "cleanlab_knn_shapley")
    assert config.options().self_validation
    (problem,) = refusal(*PLACES, "--method", "cleanlab_knn_shapley").problems
    assert (problem.where, problem.got) == ("validation", "both")


def test_to_owners__is_of_private_methods_unless_all_values_are_published() -> None:
    budget = (*PRIVATE, "--epsilon", "1", "--delta", "1e-9")
    assert config_of(*PLACES, *budget).to_owners()
    assert not config_of(*PLACES, *budget, "--publish_all_values", "true").to_owners()
    assert not config_of(*PLACES, *budget, "--publish-all-values=true").to_owners()
    assert not config_of(*PLACES).to_owners()


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("--delta", "1e-9"), "epsilon"),
        (("--epsilon", "1"), "delta"),
        (("--epsilon", "0", "--delta", "1e-9"), "parameter 'epsilon'"),
        (("--epsilon", "1", "--delta", "1e-9", "--sampling_rate", "0.5", "--adjacency", "replace_one"), "adjacency"),
        (("--epsilon", "1", "--delta", "1"), "delta"),
    ],
)
def test_load_config__a_budget_is_whole(words: tuple[str, ...], where: str) -> None:
    (problem,) = refusal(*PLACES, *PRIVATE, *words).problems
    assert problem.where == where
    assert problem.hint
