"""The command line: exit codes, and what goes to which stream; no session is started here."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from run_records import PUBLISHED

import dvspark
from dvspark.cli import commands, main
from dvspark.cli.declared import COMMANDS
from dvspark.cli.help import command_help, overview
from dvspark.errors import DvsparkError, Problem
from dvspark.run import engine_choice

VALUE = ["value", "--train", "t", "--validation", "v", "--output", "o"]


@pytest.fixture(autouse=True)
def _left_as_found(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore what the command line sets up for its process: the handler of SIGTERM, and the log."""
    for name in [name for name in os.environ if name.upper().startswith("DVSPARK_")]:
        monkeypatch.delenv(name)
    logger = logging.getLogger("dvspark")
    handler, before = signal.getsignal(signal.SIGTERM), (logger.handlers[:], logger.level, logger.propagate)
    yield
    signal.signal(signal.SIGTERM, handler)
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Replace the session by a word and the run by a record; return the sessions that were asked for."""
    asked: list[tuple[Any, ...]] = []

    @contextmanager
    def open_session(master: str | None, conf: dict[str, str]) -> Iterator[str]:
        asked.append((master, conf))
        yield "session"
        asked.append(("closed",))

    monkeypatch.setattr(engine_choice, "open_session", open_session)
    monkeypatch.setattr(engine_choice, "chosen", lambda *_: ("spark", "of the test"))
    monkeypatch.setattr(commands.pipeline, "run", lambda config, spark: PUBLISHED)
    return asked


def failing_run(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def run(config: Any, spark: Any) -> None:
        raise error

    monkeypatch.setattr(commands.pipeline, "run", run)


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# --- usage ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["dvspark", "dvspark.cli"])
def test_module__starts_the_command_line(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", overview())


def test_main__without_a_command_shows_the_commands_on_standard_error(capsys: Any) -> None:
    assert main([]) == 2
    assert capsys.readouterr() == ("", overview())


@pytest.mark.parametrize("words", [["valu"], ["--train", "t"], [""], ["version"], ["value.yaml"]])
def test_main__what_is_no_command_is_told_with_those_there_are(words: list[str], capsys: Any) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    (line,) = json_lines(err)
    assert (out, line["error"], line["exit_code"]) == ("", "ConfigError", 2)
    assert f"expected: one of {', '.join(COMMANDS)}" in line["message"]
    assert "what to do" in line["message"]


def test_main__version(capsys: Any) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (f"dvspark {dvspark.__version__}\n", "")


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["help"], ["--help", "value.yaml"]])
def test_main__help_is_on_standard_output(words: list[str], capsys: Any) -> None:
    assert main(words) == 0
    assert capsys.readouterr() == (overview(), "")


@pytest.mark.parametrize("words", [["{}", "--help"], ["{}", "-h"], ["help", "{}"], ["{}", "--k", "3", "-h"]])
@pytest.mark.parametrize("name", COMMANDS)
def test_main__help_of_a_command_is_on_standard_output(
    name: str, words: list[str], capsys: Any, sessions: list[Any]
) -> None:
    assert main([word.format(name) for word in words]) == 0
    assert capsys.readouterr() == (command_help(COMMANDS[name]), "")
    assert not sessions


@pytest.mark.parametrize("words", [["value", "--help"], ["methods"], ["completion", "bash"]])
def test_main__a_reader_that_has_seen_enough_is_no_error(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "dvspark", *words]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_usage__names_every_exit_code() -> None:
    codes = {error.exit_code for error in DvsparkError.__subclasses__()} | {0, 1, 130, 143}
    assert all(f"{code}" in overview().rpartition("exit codes:")[2] for code in codes)


def test_main__takes_the_words_of_its_process(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["dvspark", "--help"])
    assert main() == 0


# --- exit codes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["value"],
        ["value", "none.yaml"],
        [*VALUE, "--k"],
        [*VALUE, "--k", "0"],
        [*VALUE, "--metrc", "x"],
        ["value", "-k"],
    ],
)
def test_main__unusable_configuration_is_exit_code_2(words: list[str], capsys: Any, sessions: list[Any]) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = json_lines(err)
    assert (line["error"], line["exit_code"], line["level"]) == ("ConfigError", 2, "error")
    assert "what to do" in line["message"]
    assert "Traceback" not in err
    assert not sessions


def error_classes() -> list[type[DvsparkError]]:
    return [DvsparkError, *DvsparkError.__subclasses__()]


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_main__an_expected_error_is_its_exit_code(
    kind: type[DvsparkError], monkeypatch: pytest.MonkeyPatch, capsys: Any, sessions: list[Any]
) -> None:
    failing_run(monkeypatch, kind([Problem("here", "this", "that", "do so"), Problem("there", "one", "two")]))
    assert main(VALUE) == kind.exit_code
    out, err = capsys.readouterr()
    assert out == ""
    engine, line = json_lines(err)
    assert engine["engine"] == "spark"
    assert (line["error"], line["exit_code"]) == (kind.__name__, kind.exit_code)
    for words in ("2 problems", "1. here", "expected: this", "got: that", "what to do: do so", "2. there"):
        assert words in line["message"]
    assert "Traceback" not in err


def test_errors__have_exit_codes_of_their_own() -> None:
    assert sorted(kind.exit_code for kind in error_classes()) == [1, 2, 3, 4, 5, 6]
    assert [getattr(dvspark, name).exit_code for name in ("ConfigError", "InputError", "AuditError")] == [2, 3, 6]


def test_main__an_unexpected_error_is_exit_code_1_with_its_traceback_in_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, sessions: list[Any]
) -> None:
    failing_run(monkeypatch, ZeroDivisionError("by accident"))
    assert main([*VALUE, "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    engine, line = json_lines(err)
    assert engine["engine"] == "spark"
    assert line["exit_code"] == 1
    assert "Traceback" in line["message"]
    assert "ZeroDivisionError: by accident" in line["message"]


def test_main__the_keyboard_is_exit_code_130(monkeypatch: pytest.MonkeyPatch, capsys: Any, sessions: list[Any]) -> None:
    failing_run(monkeypatch, KeyboardInterrupt())
    assert main(VALUE) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert json_lines(err)[-1]["exit_code"] == 130
    assert "Traceback" not in err


WAITING = """
import signal, sys, time
from contextlib import contextmanager

# A shell starts its background jobs with this signal ignored, and the tests may run in one.
signal.signal(signal.SIGINT, signal.default_int_handler)
from dvspark.cli import commands, main
from dvspark.run import engine_choice

@contextmanager
def open_session(master, conf):
    try:
        yield "session"
    finally:
        print("session closed", flush=True)

def run(config, spark):
    print("waiting", flush=True)
    time.sleep(60)

engine_choice.open_session, engine_choice.chosen = open_session, lambda *_: ("spark", "of the test")
commands.pipeline.run = run
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_main__a_signal_closes_the_session_and_is_its_exit_code(number: signal.Signals, code: int) -> None:
    package = str(Path(dvspark.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": package}
    command = [sys.executable, "-c", WAITING, *VALUE]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "waiting\n"
            started = time.monotonic()
            process.send_signal(number)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == code
    assert time.monotonic() - started < 15
    assert out == "session closed\n"
    assert json_lines(err)[-1]["exit_code"] == code
    assert "Traceback" not in err


@pytest.mark.parametrize("asked", ["word", "pair", "environment", "file"])
def test_main__errors_in_the_settings_have_the_format_that_the_settings_ask_for(
    asked: str, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    wrong = ["--ki", "3"]
    if asked == "environment":
        monkeypatch.setenv("dvspark_log_format", "text")
    file = tmp_path / "job.yaml"
    file.write_text("log_format: text\n")
    words = {"word": ["--log_format", "text"], "pair": ["--log-format=text"], "environment": [], "file": []}[asked]
    given = ["value", str(file), *VALUE[1:]] if asked == "file" else VALUE
    assert main([*given, *wrong, *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Unusable configuration: 1 problem\n")
    assert main([*given, *wrong, *words, "--log_format", "json"]) == 2
    assert json_lines(capsys.readouterr().err)[-1]["exit_code"] == 2


@pytest.mark.parametrize(
    "words", [["value", "no such file"], [*VALUE, "--log_format"], [*VALUE, "--log_format", "xml"], []]
)
def test_main__what_asks_for_no_format_is_told_in_the_usual_one(words: list[str], capsys: Any) -> None:
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.startswith("usage: dvspark COMMAND" if not words else "{")


# --- success ----------------------------------------------------------------------------------------------


def test_main__tells_a_person_what_was_done(capsys: Any, sessions: list[Any]) -> None:
    assert main(VALUE) == 0
    out, _ = capsys.readouterr()
    assert out.splitlines() == [
        "run knn_shapley-0123: 12,345 training rows valued by 678 validation rows",
        "audit efficiency: pass (1e-17, allowed 1e-09)",
        "values: o/values/run_id=knn_shapley-0123",
    ]


@pytest.mark.parametrize("words", [[*VALUE, "--json"], ["value", "--json", *VALUE[1:]]])
def test_main__json_is_one_line_on_standard_output(words: list[str], capsys: Any, sessions: list[Any]) -> None:
    assert main(words) == 0
    out, _ = capsys.readouterr()
    assert out.endswith("\n")
    assert out.count("\n") == 1
    kept = ("run_id", "method", "inputs", "findings", "outputs")
    assert json.loads(out) == {name: PUBLISHED[name] for name in kept}


def test_main__json_comes_after_what_the_run_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, sessions: list[Any]
) -> None:
    def run(config: Any, spark: Any) -> dict[str, Any]:
        sys.stdout.write("something a library prints\n")
        return PUBLISHED

    monkeypatch.setattr(commands.pipeline, "run", run)
    assert main([*VALUE, "--json"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(last)["run_id"] == PUBLISHED["run_id"]


def test_main__the_session_is_the_one_that_was_asked_for(capsys: Any, sessions: list[Any]) -> None:
    assert main([*VALUE, "--spark.master", "local[3]", "--spark.conf.spark.executor.memory", "8g"]) == 0
    assert sessions == [("local[3]", {"spark.executor.memory": "8g"}), ("closed",)]


def test_main__reads_a_file_and_words_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, sessions: list[Any]
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(commands.pipeline, "run", lambda config, spark: seen.append((config, spark)) or PUBLISHED)
    path = tmp_path / "job.yaml"
    path.write_text("train: t\nvalidation: v\noutput: o\nk: 3\nmetric: cosine\n")
    assert main(["value", str(path), "--k", "4"]) == 0
    ((config, spark),) = seen
    assert (config.k, config.metric, spark) == (4, "cosine", "session")


@pytest.mark.parametrize(
    ("log_format", "is_terminal", "is_json"),
    [("auto", False, True), ("auto", True, False), ("text", False, False), ("json", True, True)],
)
def test_main__the_log_is_for_a_person_on_a_terminal_and_json_elsewhere(
    log_format: str, is_terminal: bool, is_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: Any, sessions: list[Any]
) -> None:
    def run(config: Any, spark: Any) -> dict[str, Any]:
        commands.logs.log_event("reading 3 rows", stage="read", rows=3)
        return PUBLISHED

    monkeypatch.setattr(commands.pipeline, "run", run)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    assert main([*VALUE, "--log_format", log_format]) == 0
    err = capsys.readouterr().err
    if is_json:
        engine, line = json_lines(err)
        assert engine["engine"] == "spark"
        assert (line["message"], line["stage"], line["rows"]) == ("reading 3 rows", "read", 3)
    else:
        assert err == "engine    spark: of the test\nreading 3 rows\n"


@pytest.mark.parametrize("as_json", [True, False])
def test_main__names_forge_no_line_of_the_summary(
    sessions: list[tuple[Any, ...]], as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "o/values\naudit efficiency: pass\x1b[2K\r\u202e"
    monkeypatch.setattr(commands.pipeline, "run", lambda config, spark: {**PUBLISHED, "outputs": {"values": hostile}})
    assert main([*VALUE, *(["--json"] if as_json else [])]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == (1 if as_json else 3)
    assert not set("\x1b\r\u202e") & set(out)


def test_main__the_summary_tells_how_many_rows_were_set_aside(
    sessions: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = {**PUBLISHED["inputs"], "train": {**PUBLISHED["inputs"]["train"], "n_rejected": 1_234}}
    monkeypatch.setattr(commands.pipeline, "run", lambda config, spark: {**PUBLISHED, "inputs": inputs})
    assert main(VALUE) == 0
    assert "set aside: 1,234 bad train rows; their reasons are in rejected" in capsys.readouterr().out


@pytest.mark.parametrize("asked", ["text", "json"])
def test_main__commands_without_settings_log_as_the_environment_asks(
    asked: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DVSPARK_LOG_FORMAT", asked)
    assert main(["pay", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("{" if asked == "json" else "Unusable configuration")


def test_main__a_change_of_a_reviewed_run_is_not_reviewed(
    sessions: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was asked for the other run is no reason to refuse the change; what is asked for now would be one."""
    base = {"train": {"path": "t"}, "validation": {"path": "v"}, "output": {"path": "o"}}
    base |= {"review": True, "goal": "label_errors"}
    monkeypatch.setattr(commands, "parent_record", lambda storage, run_id: {"configuration": base})
    seen = list[Any]()
    monkeypatch.setattr(commands.pipeline, "run", lambda config, spark: seen.append(config) or PUBLISHED)
    assert main(["value", "--add-validation", "new", "o/runs/before"]) == 0
    assert (seen[0].review, seen[0].goal, seen[0].parent, seen[0].change) == (False, None, "before", "add")
    assert main(["value", "--add-validation", "new", "o/runs/before", "--review", "true"]) == 2


@pytest.mark.parametrize(
    ("variables", "settings", "words", "alone"),
    [
        ({}, None, [], True),
        ({}, "train: t\noutput: o\n", [], True),
        ({}, None, ["--validation", "v"], False),
        ({"DVSPARK_VALIDATION": "v"}, None, [], False),
        ({"DVSPARK_VALIDATION__TABLE": "v"}, None, [], False),
        ({}, "train: t\noutput: o\nvalidation: v\n", [], False),
        ({}, "train: t\noutput: o\nvalidation: v\n", ["--self_validation"], True),
    ],
)
def test_main__a_review_takes_the_validation_table_from_wherever_settings_come(
    sessions: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    settings: str | None,
    words: list[str],
    alone: bool,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    seen = list[Any]()
    monkeypatch.setattr(commands.pipeline, "run", lambda config, spark: seen.append(config) or PUBLISHED)
    path = tmp_path / "review.yaml"
    path.write_text(settings or "")
    given = ["--train", "t", "--output", "o"] if settings is None else [str(path)]
    assert main(["review", *given, *words]) == 0
    (config,) = seen
    assert config.review
    assert (config.self_validation, config.validation is None) == (alone, alone)
