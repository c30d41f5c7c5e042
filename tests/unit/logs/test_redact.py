"""Secrets and forged lines: nothing that is shown holds one."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvspark import logs
from dvspark.cli import commands, main
from dvspark.config.sources import load_config, parse_overrides
from dvspark.errors import ConfigError, InputError, Problem, shown
from dvspark.logs import redact
from dvspark.logs.redact import HIDDEN, is_secret, redacted, redacted_tree, remember, visible, visible_lines
from dvspark.run import engine_choice

SECRET = "hunter2-hunter2"
PLACES = ["--train", "t", "--validation", "v", "--output", "o"]
FORGED = "fine\nindex 0.00 s\r\x1b[2Kerased\x00\x85\u2028next\u202e"


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.upper().startswith("DVSPARK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(redact, "_remembered", set())
    logger = logging.getLogger("dvspark")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.level, logger.propagate = before


# --- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "spark.authenticate.secret",
        "spark.hadoop.fs.s3a.access.key",
        "spark.hadoop.fs.s3a.secret.key",
        "fs.azure.account.key.lake.dfs.core.windows.net",
        "spark.ssl.keyStorePassword",
        "spark.hadoop.accessKeyId",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SESSION_TOKEN",
        "databricks-token",
        "apikey",
        "PASSWORD",
        "db_passwd",
        "GOOGLE_CREDENTIALS",
    ],
)
def test_is_secret__of_passwords_secrets_tokens_and_keys(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    ["spark.master", "spark.sql.keyspace", "keyboard", "id", "tokenizer", "spark.executor.memory", "secretary", ""],
)
def test_is_secret__not_of_other_words(name: str) -> None:
    assert not is_secret(name)


def test_config__no_setting_of_a_job_is_taken_for_a_secret() -> None:
    kept = load_config(None, parse_overrides([*PLACES, "--train.id", "join_key"])).kept()
    assert redacted_tree(kept) == kept


# --- texts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3a://me:hunter2@bucket/x", "s3a://me:***@bucket/x"),
        ("s3a://me:hun/ter2@bucket/x", "s3a://me:***@bucket/x"),
        ("s3a://:p@b, and 'hdfs://a:b@c/d'", "s3a://:***@b, and 'hdfs://a:***@c/d'"),
        ("jdbc:postgresql://db/x?user=me&password=hunter2&ssl=1", "jdbc:postgresql://db/x?user=me&password=***&ssl=1"),
        ("https://lake/t?sv=1&sig=abc%3D", "https://lake/t?sv=1&sig=***"),
        ("jdbc:sqlserver://db;user=me;password=p;x=1", "jdbc:sqlserver://db;user=me;password=***;x=1"),
        ("X-Api-Key: hunter2x", "X-Api-Key: ***"),
        ("X-Auth-Token: hunter2x Accept: any", "X-Auth-Token: *** Accept: any"),
        ("Cookie: session=hunter2x; other=1", "Cookie: ***"),
        ("sas_token=hunter2x", "sas_token=***"),
        ("dvspark --password hunter2x --k 3", "dvspark --password *** --k 3"),
        ("password =   hunter2x", "password =   ***"),
        (r"{\"password\": \"hunter2x\"}", r"{\"password\": \"***\"}"),
        ("a?password%3Dhunter2x", "a?password%3D***"),
        ("<password>hunter2x</password>", "<password>***</password>"),
        ("auth=hunter2x", "auth=***"),
        ("connection_string=hunter2x", "connection_string=***"),
        ("told sk-abcdefghijklmnopqrstu0123 to all", "told *** to all"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "***"),
        ("abfss://container@lake.dfs.core.windows.net/t", "abfss://container@lake.dfs.core.windows.net/t"),
        ("hdfs://name:8020/user/me@home", "hdfs://name:8020/user/me@home"),
        ("mail me@home at 10:30, C:/x@y", "mail me@home at 10:30, C:/x@y"),
    ],
)
def test_redacted__hides_passwords_in_uris(text: str, expected: str) -> None:
    assert redacted(text) == expected


def test_redacted__hides_the_secrets_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", SECRET)
    monkeypatch.setenv("SHORT_KEY", "true")
    assert redacted(f"<{SECRET}> true") == "<***> true"


@pytest.mark.long
def test_redacted__takes_a_text_of_a_megabyte() -> None:
    for text in ("a" * 2**20, "://a:" * 2**17, "?" * 2**20, "?token" * 2**17, "a://b:" + "c" * 2**20):
        assert redacted(text) == text


@given(st.recursive(st.none() | st.integers() | st.text(), lambda t: st.lists(t) | st.dictionaries(st.text(), t)))
def test_redacted_tree__has_the_shape_it_had(tree: Any) -> None:
    def shape(one: Any, other: Any) -> bool:
        if isinstance(one, dict) and isinstance(other, dict):
            return one.keys() == other.keys() and all(other[k] == HIDDEN or shape(one[k], other[k]) for k in one)
        if isinstance(one, list) and isinstance(other, list):
            return len(one) == len(other) and all(map(shape, one, other))
        return type(one) is type(other)

    assert shape(tree, redacted_tree(tree))


def test_redacted_tree__of_what_holds_itself_ends() -> None:
    tree: dict[str, Any] = {"password": SECRET, "x": [1]}
    tree["self"] = tree
    found = redacted_tree(tree)
    remember(tree)
    assert (found["password"], found["self"] is found) == (HIDDEN, True)
    assert redacted(SECRET) == HIDDEN


# --- lines ------------------------------------------------------------------------------------------------


def test_visible__is_one_line_without_what_a_terminal_obeys() -> None:
    assert visible(FORGED) == "fine\\nindex 0.00 s\\r\\x1b[2Kerased\\x00\\x85\\u2028next\\u202e"
    assert visible("Ünïcode 👩\u200d🔬 stays") == "Ünïcode 👩\u200d🔬 stays"


@given(st.text())
def test_visible_lines__begins_one_line_only(text: str) -> None:
    _, *others = visible_lines(text).split("\n")
    assert all(line.startswith(" ") for line in others)
    assert len(visible_lines(text).splitlines()) <= 1 + len(others)


def test_shown__of_a_megabyte_is_short() -> None:
    text = shown(["a" * 2**20, "b\nc", 7, ["x"] * 2**20])
    assert len(text) < 300
    assert "'b\\nc', 7" in text


def test_problem__has_four_lines_whatever_is_in_it() -> None:
    text = str(InputError(Problem(FORGED, FORGED, FORGED, FORGED)))
    assert len(text.splitlines()) == 5
    assert "\x1b" not in text


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_log__data_forge_no_line(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up_logs(log_format)
    logs.log_event(FORGED, note=FORGED)
    lines = capsys.readouterr().err.rstrip("\n").split("\n")
    assert [line for line in lines[1:] if not line.startswith("  ")] == []
    assert not set("\x1b\x00\r\x85\u2028") & set("".join(lines))
    if log_format == "json":
        (line,) = lines
        assert json.loads(line)["note"] == FORGED


# --- every edge -------------------------------------------------------------------------------------------

PLANTED: dict[str, list[str]] = {
    "a Spark setting": ["--spark.conf.spark.authenticate.secret", SECRET],
    "a Spark setting's longer name": [f"--spark.conf.spark.hadoop.fs.s3a.secret.key={SECRET}"],
    "the path of a table": ["--train", f"s3a://me:{SECRET}@bucket/t"],
    "the path of the output": ["--output", f"s3a://me:{SECRET}@bucket/o"],
    "a mistyped section": ["--spark.cnf.spark.password", SECRET],
    "an unknown setting": ["--api_key", SECRET],
    "a setting below a secret": [
        "--spark.conf.spark.password",
        SECRET,
        "--spark.conf.spark.password.x",
        "1",
        "--k",
        "x",
    ],
    "a value with a blank": ["--spark.conf.spark.password", "two", SECRET],
    "a value without a name": ["--password", SECRET, SECRET],
    "a section in one word": ["--spark", f"{{conf: {{password: {SECRET}}}}}", "--spark.conf.spark.password", SECRET],
}


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("name", PLANTED)
def test_main__no_output_tells_a_secret(
    name: str, log_format: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from run_records import PUBLISHED

    def run(config: Any, spark: Any) -> dict[str, Any]:
        logs.log_event(f"reading {config.train.path} with {config.spark.conf}", note=config.output.path)
        if config.train.path == "t":
            raise ZeroDivisionError(f"{config.model_dump()}")
        return {**PUBLISHED, "outputs": {"values": config.train.path}}

    monkeypatch.setattr(engine_choice, "open_session", _session)
    monkeypatch.setattr(engine_choice, "chosen", lambda *_: ("spark", "of the test"))
    monkeypatch.setattr(commands.pipeline, "run", run)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: log_format == "text", raising=False)
    code = main(["value", *PLACES, *PLANTED[name]])
    out, err = capsys.readouterr()
    assert code in (0, 1, 2)
    assert out + err
    assert SECRET not in out + err


def _session(master: Any, conf: dict[str, str]) -> Any:
    from contextlib import nullcontext

    remember(conf)
    return nullcontext("session")


@pytest.mark.parametrize(
    "content",
    [
        f"train: [t\nspark: {{conf: {{spark.password: {SECRET}}}}}\n",
        f"train: t\nspark: {{conf: {{spark.password: {SECRET}, x: [1]}}}}\nk: many\n",
        f"train: t\nspark: [password, {{token: {SECRET}}}]\n",
        f"train: t\nsprak: {{conf: {{spark.password: {SECRET}}}}}\n",
        f"train: t\nspark: {{conf: {{spark.password: [{SECRET}]}}}}\n",
        f"spark: {{conf: {{spark.password: {SECRET}: {SECRET}}}}}\n",
        f"spark: {{conf: {{spark.password: 'x', spark.token: '{SECRET}\n",
    ],
)
def test_load_config__refuses_a_file_without_telling_its_secrets(content: str, tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_load_config__refuses_an_environment_without_telling_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVSPARK_SPARK", json.dumps({"cnf": {"spark.password": SECRET}, "conf": {"my.key": [SECRET]}}))
    with pytest.raises(ConfigError) as caught:
        load_config(None, parse_overrides(PLACES))
    assert "spark.cnf" in str(caught.value)
    assert SECRET not in str(caught.value)
