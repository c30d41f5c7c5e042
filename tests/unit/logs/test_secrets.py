"""Any secret, planted in any place of the settings: nothing that is written shows it, in any of its forms."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from property_tests import examples
from report_data import FINDINGS, NO_NEIGHBORS, RUN, values_table
from run_records import RECORD

from dvspark import logs, report
from dvspark.config.sources import load_config
from dvspark.errors import ConfigError, InputError, Problem
from dvspark.logs import redact
from dvspark.logs.redact import HIDDEN, is_secret, redacted, redacted_tree, remember
from dvspark.runs import tracking
from dvspark.runs.metrics import run_metrics

# Letters at both ends, so that no other text has it by chance.
SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=5, max_size=20).map("Zq{}9w".format)
NO_BLANKS = st.text(
    st.characters(min_codepoint=33, codec="utf-8", exclude_categories=("Z", "C"), exclude_characters="'\""),
    min_size=5,
    max_size=20,
).map("Zq{}9w".format)
TOKENS = st.text("abcXYZ019._~-", min_size=8, max_size=30).map("Zq{}9w".format)
NAMES = [
    "password",
    "password2",
    "db.pwd",
    "my_pass",
    "PAT",
    "github_pat",
    "api-token",
    "fs.s3a.secret.key",
    "sasToken",
]
NAMES += [
    "fs.azure.account.key.lake.dfs.core.windows.net",
    "http.header.Authorization",
    "awsAccessKeyId",
    "clientSecret",
]
ANY = examples(80, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.upper().startswith("DVSPARK_")]:
        monkeypatch.delenv(name)
    with nothing_remembered():
        yield


@contextmanager
def nothing_remembered() -> Iterator[None]:
    before, redact._remembered = redact._remembered, set()
    try:
        yield
    finally:
        redact._remembered = before


def forms(secret: str) -> set[str]:
    raw = secret.encode()
    found = {secret, quote(raw, safe=""), quote(raw), quote_plus(raw)}
    found |= {re.sub("%..", lambda code: code[0].lower(), form) for form in found if form != secret}
    found |= {json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    for before in (b"", b"me:", b"user:"):
        found.add(base64.b64encode(before + raw).decode().rstrip("="))
        found.add(base64.urlsafe_b64encode(before + raw).decode().rstrip("="))
    return found


def shows(written: str, secret: str) -> list[str]:
    return [form for form in forms(secret) if form in written]


def told(secret: str) -> str:
    """Return what an exception of some library might say."""
    return "\n".join(["cannot reach it", *(f"tried <{form}>" for form in sorted(forms(secret)))])


def strings_of(tree: Any) -> str:
    if isinstance(tree, dict):
        return "\n".join(f"{key}\n{strings_of(value)}" for key, value in tree.items())
    return "\n".join(map(strings_of, tree)) if isinstance(tree, list) else str(tree)


def written_by(event: dict[str, Any], text: str) -> Iterator[str]:
    """Yield what goes to the log in both formats, and as errors."""
    for formatter in (logs.TextLines(), logs.JsonLines()):
        line = logging.makeLogRecord({"msg": "%s", "args": (text,), "event": event})
        written = formatter.format(line)
        yield written
        if isinstance(formatter, logs.JsonLines):
            yield strings_of(json.loads(written))
    for error in (ConfigError(Problem("where", text, text, text)), InputError(Problem(text, "", "", ""))):
        yield str(error)


def places_of(secret: str) -> dict[str, dict[str, Any]]:
    """Return settings with the secret in them, by where it stands."""
    base: dict[str, Any] = {"train": "t", "validation": "v", "output": "o"}
    found: dict[str, dict[str, Any]] = {
        "password of a bucket": base | {"train": f"s3a://me:{secret}@bucket/t"},
        "password of the output": base | {"output": f"s3a://me:{secret}@bucket/o"},
        "password of a database": base | {"work_dir": f"jdbc:postgresql://me:{secret}@db/x"},
    }
    for name in NAMES:
        found[name] = base | {"spark": {"conf": {f"spark.hadoop.{name}": secret}}}
    return found


@pytest.mark.long
@ANY
@given(SECRETS, st.sampled_from(sorted(places_of(""))))
def test_settings__show_no_secret_in_what_is_logged_refused_recorded_and_measured(secret: str, place: str) -> None:
    with nothing_remembered():
        config = load_config(None, places_of(secret)[place])
        text = told(secret)
        event = {"config": config.model_dump(mode="json"), "conf": config.spark.conf, "error": ValueError(text)}
        method = {"name": text, "parameters": {"k": config.output.path}}
        record = {**RECORD, "method": method, "tolerance": 1.0, "precision": text, "ties": text, "aggregate": text}
        record = redacted_tree({**record, "configuration": config.kept(), "outputs": {"values": config.output.path}})
        seen = [strings_of(record), json.dumps(record), run_metrics(record)]
        for written in [*seen, *written_by(event, text), *written_by(event, repr(config)), *_tracked(record, text)]:
            assert shows(written, secret) == []
    assert secret in str(places_of(secret)[place]) or repr(secret)[1:-1] in str(places_of(secret)[place])


@pytest.mark.parametrize("secret", ["Zq@:/%# '\"9w", "Zq<&>ü\n\\9w"])
@pytest.mark.parametrize("place", ["password of a bucket", "password2"])
def test_report__shows_no_secret_of_the_settings(secret: str, place: str) -> None:
    with nothing_remembered():
        config = load_config(None, places_of(secret)[place])
        warning = {"where": told(secret), "expected": config.train.path, "got": told(secret), "hint": ""}
        record = redacted_tree({**RUN, "warnings": [warning], "outputs": {"values": config.output.path}})
        html = report.render_html(report.summarize(values_table([0.5, -0.5]), record, FINDINGS, NO_NEIGHBORS))
        assert shows(html, secret) == []


@ANY
@given(SECRETS, st.sampled_from(NAMES))
def test_environment__shows_no_secret(secret: str, name: str) -> None:
    variable = name.upper().replace(".", "_").replace("-", "_")
    with nothing_remembered(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_URL", f"https://me:{secret}@host/x")
        if is_secret(variable):
            patch.setenv(variable, secret)
        for written in written_by({"note": told(secret)}, told(secret)):
            assert shows(written, secret) == []


@ANY
@given(NO_BLANKS, st.sampled_from(["s3a://me:{}@bucket/x", "s3a://:{}@b", "https://me@corp:{}@host:8020/x y"]))
def test_redacted__knows_a_password_by_its_place(secret: str, place: str) -> None:
    with nothing_remembered():
        assert secret not in redacted(f"cannot read {place.format(secret)}, sorry")


@ANY
@given(
    TOKENS,
    st.sampled_from(
        [
            "https://{}@host/x",
            "git+https://{}@host/x.git",
            "s3://{}@bucket",
            "https://lake/t?sv=1&sig={}",
            "https://lake/t?sig={}&sv=1",
            "https://b.s3.amazonaws.com/k?X-Amz-Signature={}",
            "https://b.s3.amazonaws.com/k?AWSAccessKeyId={}&x=1",
            "https://h/x?X-Goog-Signature={}",
            "jdbc:sqlserver://db;user=me;password={};x=1",
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={};x=1",
            "Authorization: Bearer {}",
            "{{'Authorization': 'Basic {}'}}",
            "curl -H 'authorization: token {}'",
            "sent bearer {}",
            "password={}",
            "password2: {}",
            'bad settings: {{"clientSecret": "{}", "x": 1}}',
            "{{'spark.hadoop.fs.s3a.secret.key': '{}'}}",
            "PAT={} and more",
        ]
    ),
)
def test_redacted__knows_a_token_by_its_name(token: str, place: str) -> None:
    with nothing_remembered():
        text = place.format(token)
        assert token in text
        assert token not in redacted(text)
        assert HIDDEN in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "expected: settings, key: value",
        "id: join_key",
        "abfss://container@lake.dfs.core.windows.net/t",
        "hdfs://name:8020/user/me@home",
        "hdfs://me@name:8020/t",
        "s3a://bucket/a@b:c/d",
        "the token: none was found; key: 3",
        "sorted(rows, key=len)",
        "/home/me/keys/a=b/run_id=x",
        "a certificate of the bearer",
        "spark.sql.hive.compat=true",
    ],
)
def test_redacted__leaves_what_is_no_secret(text: str) -> None:
    assert redacted(text) == text


def test_redacted__leaves_the_folder_one_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PWD", "/home/somebody/work")
    assert redacted("/home/somebody/work/t.parquet") == "/home/somebody/work/t.parquet"


def test_remember__all_that_stands_below_the_name_of_a_secret() -> None:
    remember({"password": ["one-secret", {"other": "two-secret"}], "x": {"my.token": 123_456_789}})
    assert redacted("one-secret two-secret 123456789 12345") == "*** *** *** 12345"


def test_record__of_a_run_is_as_it_was() -> None:
    assert redacted_tree(RUN) == RUN
    assert redacted_tree(RECORD).keys() == RECORD.keys()


@pytest.mark.parametrize(
    "line",
    [
        "spark.password: *{}",
        "spark.password: !{}",
        "spark.password: &{} &x 1",
        "spark.password: !!int {}",
        "spark.password: !!timestamp {}",
        "spark.password: !!bool {}",
        "spark.password: !!float {}",
        "spark.password: !!binary {}",
        "spark.password: !!int ''",
        "spark.password: !!set {}",
        "spark.password: %{}",
        "spark.password: @{}",
        "spark.password: '{}",
        "spark.password: [{}",
        "spark.password: {{{}: {}}}",
        "spark.password: {}\n  spark.password: {}",
        "{}: x\n  {}: x",
    ],
)
def test_load_config__refuses_a_file_without_what_stands_in_it(line: str, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("train: t\noutput: o\nspark:\n conf:\n  " + line.replace("{}", "hunter2hunter2"))
    with pytest.raises(ConfigError) as refused:
        load_config(tmp_path / "job.yaml", {})
    assert "hunter2" not in str(refused.value)


def _tracked(record: dict[str, Any], text: str) -> Iterator[str]:
    """Yield what MLflow is told, and what is logged when it fails with that text."""
    told_mlflow: list[Any] = []

    @contextmanager
    def start_run(run_name: str) -> Iterator[None]:
        yield

    def fail(*_: Any) -> None:
        raise ValueError(text)

    mlflow = SimpleNamespace(start_run=start_run, set_tags=told_mlflow.append, log_params=told_mlflow.append)
    mlflow.log_metrics, mlflow.log_text = told_mlflow.append, fail
    mlflow.log_input = lambda dataset, context, tags: told_mlflow.extend([dataset, tags])
    mlflow.data = SimpleNamespace(
        spark_dataset_source=SimpleNamespace(SparkDatasetSource=lambda **source: source),
        meta_dataset=SimpleNamespace(MetaDataset=lambda source, name, digest: {**source, "name": name}),
    )
    stream = io.StringIO()
    handler, logger = logging.StreamHandler(stream), logs.LOGGER
    handler.setFormatter(logs.JsonLines())
    before, logger.handlers[:] = logger.handlers[:], [handler]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking, "_mlflow", lambda: mlflow)
        tracking.track(record, {"run.json": json.dumps(record)})
    logger.handlers[:] = before
    yield strings_of(told_mlflow)
    yield strings_of([json.loads(line) for line in stream.getvalue().splitlines()])
