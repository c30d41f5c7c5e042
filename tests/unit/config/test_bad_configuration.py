"""Bad and hostile configurations by the command line: each exit code 2 and its message, before any session starts."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from property_tests import examples

from dvspark.cli import main
from dvspark.config.job import JobConfig
from dvspark.config.sources import load_config, parse_overrides
from dvspark.errors import ConfigError
from dvspark.run import engine_choice

PLACES = ["--train", "t", "--validation", "v", "--output", "o"]
FILE = "train: t\nvalidation: v\noutput: o\n"
BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
SPARK_BOMB = "r: &r {x: 1, y: 2}\ns: &s [" + ", ".join(["*r"] * 4_000) + "]\n"
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{f'*a{i - 1}, ' * 5}]}}\n" for i in range(1, 12))
LEVELS = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 30))
WORDS: dict[str, tuple[list[str], str]] = {
    "no value": (["--k"], "give every option a value"),
    "a file that is not there": (["none.yaml", *PLACES], "No such file"),
    "a table in place of settings": (["train.parquet", *PLACES], "--train PATH"),
    "a word too many": ([*PLACES, "--k", "3", "4"], "quote values with blanks"),
    "one hyphen": ([*PLACES, "-k", "3"], "--section.key VALUE"),
    "an unknown setting": ([*PLACES, "--metrc", "cosine"], "did you mean 'metric'"),
    "an unknown setting in a section": ([*PLACES, "--train.idd", "x"], "did you mean 'train.id'"),
    "a setting without a name": ([*PLACES, "--", "x"], "a known setting"),
    "a section below a value": ([*PLACES, "--k.x.y", "1"], "a whole number"),
    "a path of sections without end": ([*PLACES, "--" + ".".join("a" * 60_000), "x"], "levels of sections"),
    "bytes that are no text": ([*PLACES, "--work_dir", "a\udcffb"], "text in UTF-8"),
    "a dunder": ([*PLACES, "--__class__.__init__", "x"], "__class__"),
    "an unknown method": ([*PLACES, "--method", "knn"], "knn_shapley"),
    "k is none": ([*PLACES, "--k", "0"], "parameter 'k'"),
    "k below none": ([*PLACES, "--k", "-1"], "parameter 'k'"),
    "k is a fraction": ([*PLACES, "--k", "1.5"], "a whole number of at least 1"),
    "k has 5,000 digits": ([*PLACES, "--k", "9" * 5_000], "k"),
    "k in other digits": ([*PLACES, "--k", "১x"], "a whole number of at least 1"),
    "tolerance is no number": ([*PLACES, "--tolerance", "nan"], "tolerance"),
    "tolerance has no end": ([*PLACES, "--tolerance", "inf"], "tolerance"),
    "chunks of nothing": ([*PLACES, "--chunk_rows", "0"], "chunk_rows"),
    "chunks of all": ([*PLACES, "--chunk_rows", "1000000000"], "chunk_rows"),
    "a choice that is none": ([*PLACES, "--on_bad_row", "skip"], "reject"),
    "perhaps": ([*PLACES, "--report", "perhaps"], "report"),
    "memory without a unit": ([*PLACES, "--host_memory", "64"], "host_memory"),
    "memory below nothing": ([*PLACES, "--host_memory", "-1g"], "host_memory"),
    "two places for a table": ([*PLACES, "--train.table", "x"], "either a path or a table"),
    "an empty place to write to": ([*PLACES, "--output", ""], "output.path"),
    "no place to write to": (PLACES[:4], "output"),
    "no training rows": (PLACES[2:], "train"),
    "no validation rows": ([*PLACES[:2], *PLACES[4:]], "--self_validation true"),
    "both kinds of validation": ([*PLACES, "--self_validation", "true"], "not both"),
    "a change without a parent": ([*PLACES, "--change", "add"], "both or neither"),
    "a change without words": (["--add-validation", "t"], "--add-validation TABLE RUN"),
    "a change that is none": ([*PLACES, "--change", "swap", "--parent", "p"], "change"),
    "a parent up the folders": ([*PLACES, "--change", "add", "--parent", "../../etc"], "letters, digits"),
    "another method's parameter": ([*PLACES, "--radius", "1"], "radius"),
    **{
        f"a run id {run_id[:20]!r}": ([*PLACES, f"--run_id={run_id}"], "it names folders")
        for run_id in (
            "../../etc",
            "/etc",
            "..",
            "",
            "a/b",
            "a\\b",
            "a\nb",
            "a b",
            "é",
            "a" * 101,
            "-a",
            "C:",
            "a\0",
            "👩",
        )
    },
}
FILES: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "settings, key: value"),
    "a list": ("- train\n", "settings, key: value"),
    "a word": ("train", "settings, key: value"),
    "broken": ("train: [t\n", "line 2"),
    "a zero byte": (b"train: \0\n", "a readable YAML file"),
    "other letters": ("metric: é".encode("latin-1"), "a readable YAML file"),
    "too large": (b"#" * 2**21, "at most 262144 bytes"),
    "too deep": ("[" * 100_000, "a readable YAML file"),
    "an object": ("train: !!python/object/apply:os.system [true]\n", "a readable YAML file"),
    "another object": ("train: !!python/name:os.system\n", "a readable YAML file"),
    "a bomb": (FILE + BOMB, "references written out, in line 11"),
    "a bomb for a path": (FILE + SPARK_BOMB + "work_dir: *s\n", "references written out"),
    "a bomb among Spark's settings": (FILE + SPARK_BOMB + "spark: {conf: {x: *s}}\n", "references written out"),
    "a bomb of merges": (FILE + MERGES, "references written out"),
    "a bomb of levels": (FILE + LEVELS, "more than 20 levels"),
    "a section that holds itself": (FILE + "spark: &s\n  conf: *s\n", "what it is part of, in line 5"),
    "a list that holds itself": (FILE + "k: &k [*k]\n", "what it is part of, in line 4"),
    "a mapping merged with itself": (FILE + "spark: &s\n  <<: *s\n", "what it is part of"),
    "a key twice": (FILE + "k: 3\nmetric: cosine\nk: 4\n", "a key that is there already, in line 6"),
    "a key twice, quoted": (FILE + "k: 3\n'k': 4\n", "a key that is there already"),
    "a key twice in a section": ("train: {path: a, id: x, path: b}\nvalidation: v\noutput: o\n", "there already"),
    "thousands of settings": (FILE + "".join(f"k{i}: {i}\n" for i in range(4_000)), "3950 more that are not"),
    "many values": (FILE + f"k: [{'1, ' * 20_000}]\n", "more than 10000 values"),
    "a key without end": (FILE + f"{'k' * 1_000}: 1\n", "a known setting"),
    "a long key": (FILE + f"? {'k' * 200_000}\n: 1\n", "a known setting"),
    "a long value": (FILE + f"k: {'k' * 200_000}\n", "a whole number"),
    "a number of 200,000 digits to the base of 16": (FILE + f"k: 0x{'f' * 200_000}\n", "one of 800000 bits"),
    "a number of 60,000 digits to the base of 60": (FILE + f"k: 1{':59' * 60_000}\n", "to the base of 60"),
    "UTF-16": (FILE.encode("utf-16"), "text in UTF-16: save it as UTF-8"),
    "UTF-16 without a mark": (FILE.encode("utf-16-le"), "a NUL character, in line 1"),
    "UTF-32": (FILE.encode("utf-32"), "text in UTF-32"),
    "a zero byte that is written as an escape": (FILE + 'work_dir: "a\\0b"\n', "a NUL character"),
    "half a character as an escape": (FILE + 'work_dir: "a\\uD800b"\n', "work_dir"),
    "letters of Windows": ("work_dir: gr\u00f6\u00dfe\n".encode("cp1252"), "bytes that are not UTF-8, in line 1"),
    "an alias of nothing": (FILE + "k: *none\n", "undefined alias"),
    "a date that is none": (FILE + "run_id: 2024-13-45\n", "a readable YAML file"),
    "a date": (FILE + "run_id: 2024-01-01\n", "a text"),
    "keys that are lists": (FILE + "[1, 2]: x\n", "unhashable key, in line 4"),
    "a key that is a mapping": (FILE + "? {a: 1}\n: x\n", "a readable YAML file"),
    "a section that is a list": ("train: [t]\nvalidation: v\noutput: o\n", "train"),
    "a section that is nothing": ("train:\nvalidation: v\noutput: o\n", "train"),
    "a number for a path": ("train: 5\nvalidation: v\noutput: o\n", "train"),
    "truth for a number": (FILE + "k: yes\nspark: 3\n", "spark"),
    "merged with what is no mapping": (FILE + "<<: 3\n", "a readable YAML file"),
    "two documents": (FILE + "---\n" + FILE, "a single document"),
    "a number of 200,000 digits": (FILE + f"k: {'9' * 200_000}\n", "YAML"),
}


@pytest.fixture(autouse=True)
def _left_as_found(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings of the environment, no session; the handler of SIGTERM and the log as they were."""
    for name in [name for name in os.environ if name.upper().startswith("DVSPARK_")]:
        monkeypatch.delenv(name)

    def open_session(*_: Any) -> None:
        raise AssertionError("a session was asked for")

    monkeypatch.setattr(engine_choice, "open_session", open_session)
    monkeypatch.setattr(engine_choice, "open_local_session", open_session)
    logger = logging.getLogger("dvspark")
    handler, before = signal.getsignal(signal.SIGTERM), (logger.handlers[:], logger.level, logger.propagate)
    yield
    signal.signal(signal.SIGTERM, handler)
    logger.handlers[:], logger.level, logger.propagate = before


def _refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    (line,) = [json.loads(text) for text in err.splitlines()]
    assert (out, line["error"], line["exit_code"]) == ("", "ConfigError", 2)
    assert said in line["message"]
    assert "what to do" in line["message"]
    assert "Traceback" not in err
    assert len(line["message"]) < 20_000


@pytest.mark.parametrize("name", WORDS)
def test_main__bad_words_are_refused_with_their_message(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, said = WORDS[name]
    _refused(["value", *words], said, capsys)


@pytest.mark.parametrize("name", FILES)
def test_main__bad_files_are_refused_with_their_message(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    content, said = FILES[name]
    path = tmp_path / "job.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    _refused(["plan", str(path)], said, capsys)


@pytest.mark.parametrize("text", ["{not json", "[1]", "7", "null"])
def test_main__an_environment_that_is_no_section_is_refused(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVSPARK_TRAIN", text)
    _refused(["value", *PLACES[2:]], "train" if text != "{not json" else "environment", capsys)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DVSPARK_SPARK": '{"conf": ' * 5_000 + "1" + "}" * 5_000}, "more than 20 levels"),
        ({"DVSPARK_SPARK": "[" * 100_000}, "more than 20 levels"),
        ({"DVSPARK_SPARK": "[" * 30 + "]" * 30}, "more than 20 levels"),
        ({"DVSPARK_TRAIN": '{"path": "a", "id": "x", "path": "b"}'}, "a key twice: path"),
        ({"DVSPARK_K": "3", "dvspark_k": "4"}, "DVSPARK_K and dvspark_k"),
        ({"DVSPARK_" + "__".join("A" * 5_000): "3"}, "levels of sections"),
        ({"DVSPARK_METRIC": "c" * 2**19}, "524288 characters"),
        ({"DVSPARK_WORK_DIR": "a\udcffb"}, "text in UTF-8"),
    ],
)
def test_main__an_environment_without_end_is_refused(
    variables: dict[str, str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    _refused(["value", *PLACES], said, capsys)


def test_load_config__reads_no_more_of_a_file_than_settings_have() -> None:
    with pytest.raises(ConfigError, match="at most 262144 bytes"):
        load_config(Path("/dev/zero"), {})


def test_load_config__takes_utf_8_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_bytes((FILE + "work_dir: größe\n").encode("utf-8-sig"))
    assert load_config(tmp_path / "job.yaml", {}).work_dir == "größe"


def test_load_config__takes_what_is_referred_to_and_merged(tmp_path: Path) -> None:
    text = FILE + "train: &t {path: a, id: x}\n".replace("train", "stream").replace("path: a, id: x", "every: 1 day")
    (tmp_path / "job.yaml").write_text(text.replace("validation: v", "validation: &v {path: v, id: x}"))
    assert load_config(tmp_path / "job.yaml", {}).stream.every == "1 day"
    merged = "train: &t {path: t, id: x}\nvalidation: {<<: *t, path: v}\noutput: o\n"
    (tmp_path / "job.yaml").write_text(merged)
    found = load_config(tmp_path / "job.yaml", {}).validation
    assert found is not None
    assert (found.path, found.id) == ("v", "x")


# --- anything at all --------------------------------------------------------------------------------------

SETTINGS = [*JobConfig.model_fields, "path", "conf", "id", "master", "unknown", "a.b", ""]
NAMES = st.sampled_from(SETTINGS) | st.text(max_size=5)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=4)
    | st.dates()
    | st.sampled_from(["t", "true", "nan", "1e400", "cosine", "../x", "\0", "a" * 200])
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.integers(), inner, max_size=4),
    max_leaves=8,
)
ANY_SETTINGS = st.dictionaries(NAMES, TREES, max_size=6)
GOOD = {"train": "t", "validation": "v", "output": "o"}
ANYTHING = examples(150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.long
@ANYTHING
@given(ANY_SETTINGS, ANY_SETTINGS, st.booleans())
def test_load_config__of_anything_is_a_configuration_or_a_refusal(
    read: dict[str, Any], overrides: dict[str, Any], sensible: bool
) -> None:
    base = GOOD if sensible else {}
    with contextlib.suppress(ConfigError):
        json.dumps(load_config(None, {**base, **overrides}, read).kept())


@pytest.mark.long
@ANYTHING
@given(st.text(max_size=60) | ANY_SETTINGS.map(yaml.dump))
def test_load_config__of_any_file_is_a_configuration_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with contextlib.suppress(ConfigError):
        assert isinstance(load_config(path, dict(GOOD)), JobConfig)


PIECES = NAMES.map(lambda name: f"--{name}") | st.lists(NAMES, max_size=4).map(lambda n: "--" + ".".join(n)) | st.text()


@ANYTHING
@given(st.lists(PIECES, max_size=8))
def test_parse_overrides__of_any_words_are_settings_or_a_refusal(words: list[str]) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(load_config(None, parse_overrides(words)), JobConfig)
