"""The command line: `dvspark value`, `plan`, `stream` and `demo`; every outcome has its exit code."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from dvspark import logs
from dvspark.config.job import JobConfig
from dvspark.config.sources import asked_log_format, load_config, parse_overrides
from dvspark.errors import ConfigError, DvsparkError, Problem
from dvspark.host.ending import answered, is_ending
from dvspark.logs.redact import redacted_tree, visible_tree
from dvspark.run import pipeline, plan_job, stream
from dvspark.run.change import parent_record
from dvspark.run.engines import open_engine, open_spark
from dvspark.tables.storage import open_storage

USAGE = """\
dvspark value [CONFIG.yaml] [--section.key VALUE ...] [--json]
dvspark value --add-validation TABLE RUN [--section.key VALUE ...]
dvspark value --remove-validation TABLE RUN [--section.key VALUE ...]
dvspark plan [CONFIG.yaml] [--section.key VALUE ...] [--json]
dvspark stream [CONFIG.yaml] [--section.key VALUE ...] [--json]
dvspark demo [--output FOLDER]

value computes and publishes; plan tells what the same arguments would take, and writes nothing;
stream values again whenever validation rows arrive

examples:
  dvspark value conf/jobs/value.yaml --k 5
  dvspark value --train train.parquet --validation validation.parquet --output values --method knn_shapley --k 10
  dvspark plan conf/jobs/value.yaml --host_memory 64g
  dvspark value --train train.parquet --self_validation true --output values --metric cosine

settings: every key of conf/jobs/value.yaml; file < DVSPARK_* environment < command line
exit codes: 0 ok, 1 unexpected, 2 usage or configuration, 3 input data, 4 output conflict, 5 compute,
            6 audit failed, 129, 130 and 143 stopped by a signal
"""


CHANGE_WORDS = {"--add-validation": "add", "--remove-validation": "remove"}


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. An expected error never shows a stack trace."""
    return answered(lambda: command(words))


def command(words: Sequence[str] | None = None) -> int:
    """Do the work of `main`, after signal handlers are installed."""
    words = list(sys.argv[1:] if words is None else words)
    logs.set_up_logs(asked_log_format(words))
    try:
        return _dispatch(words)
    except DvsparkError as error:
        if not is_ending():
            logs.log_event(str(error), level=40, error=type(error).__name__, exit_code=error.exit_code)
        return error.exit_code
    except KeyboardInterrupt:
        logs.log_event("stopped by the keyboard", level=40, exit_code=130)
        return 130
    except Exception:
        if not is_ending():
            logs.log_event(f"unexpected error\n{traceback.format_exc()}", level=40, exit_code=1)
        return 1


def _dispatch(words: list[str]) -> int:
    commands: dict[str, Callable[[list[str]], int]] = {"value": _value, "plan": _plan, "stream": _stream, "demo": _demo}
    if words and words[0] in commands:
        return commands[words[0]](words[1:])
    asked = bool(words) and words[0] in ("-h", "--help", "help")
    (sys.stdout if asked else sys.stderr).write(USAGE)
    return 0 if asked else 2


def _value(words: list[str]) -> int:
    return _job(words, pipeline.run, _summary, _summary_json, open_engine)


def _plan(words: list[str]) -> int:
    return _job(words, plan_job.plan_job, plan_job.plan_text, json.dumps, open_spark)


def _stream(words: list[str]) -> int:
    return _job(words, stream.run_stream, stream.stream_text, json.dumps, open_spark)


def _job(
    words: list[str],
    work: Callable[[JobConfig, Any], dict[str, Any]],
    text: Callable[[dict[str, Any]], str],
    one_line: Callable[[dict[str, Any]], str],
    opened: Callable[[JobConfig], AbstractContextManager[Any]],
) -> int:
    """Do the work of a job in a session, and print the result, for a person or as one line of JSON."""
    if {"-h", "--help"} & set(words):
        print(USAGE)
        return 0
    as_json = "--json" in words
    words = [word for word in words if word != "--json"]
    words, change = _taken_change(words)
    path = Path(words.pop(0)) if words and not words[0].startswith("--") else None
    config = (
        _changed_config(change, path, parse_overrides(words)) if change else load_config(path, parse_overrides(words))
    )
    logs.set_up_logs(config.log_format)
    with opened(config) as session:
        found = work(config, session)
    found = redacted_tree(found)
    print(one_line(found) if as_json else text(visible_tree(found)))
    return 0


def _taken_change(words: list[str]) -> tuple[list[str], tuple[str, str, str] | None]:
    """Return the words without ``--add-validation TABLE RUN`` or ``--remove-validation TABLE RUN``, and these three.

    Raises: ConfigError if TABLE or RUN is missing.
    """
    for place, word in enumerate(words):
        if word in CHANGE_WORDS:
            following = words[place + 1 : place + 3]
            if len(following) < 2 or any(other.startswith("--") for other in following):
                expected, hint = f"{word} TABLE RUN", "RUN is a run id, or the folder OUTPUT/runs/RUN_ID"
                raise ConfigError(Problem(word, expected, " ".join([word, *following]), hint))
            return words[:place] + words[place + 3 :], (CHANGE_WORDS[word], following[0], following[1])
    return words, None


def _changed_config(change: tuple[str, str, str], path: Path | None, overrides: dict[str, Any]) -> JobConfig:
    """Return the configuration of a run that changes another one: the other run's, with another validation table.

    Raises: ConfigError if the other run is not published, or cannot change.
    """
    kind, table, run = change
    output = overrides.get("output", {}).get("path")
    folder, found, run_id = run.rstrip("/").rpartition("/runs/")
    output = folder if found else output
    if output is None:
        hint = "give --output FOLDER, or the run as OUTPUT/runs/RUN_ID"
        raise ConfigError(Problem("output", "the folder of the run", "none", hint))
    base = parent_record(open_storage(output), run_id)["configuration"]
    changed = {
        "validation": {**(overrides.get("validation") or {}), "path": table},
        "output": {**(base.get("output") or {}), "path": output},
        "parent": run_id,
        "change": kind,
    }
    return load_config(path, {**overrides, **changed}, base)


def _demo(words: list[str]) -> int:
    from dvspark import demo  # noqa: PLC0415 - only here

    parser = argparse.ArgumentParser(prog="dvspark demo", description="Value the sample that ships with dvspark.")
    parser.add_argument("--output", default="demo-output", help="folder for the results")
    return demo.run(Path(parser.parse_args(words).output))


def _summary(record: dict[str, Any]) -> str:
    """Return the text that a person reads at the end of a run."""
    inputs, parent = record["inputs"], record.get("parent")
    n_train = inputs["train"].get("n_rows")  # a private run does not say this
    train = "training rows" if n_train is None else f"{n_train:,} training rows"
    sizes = f"{train} valued by {inputs['n_validation']:,} validation rows"
    lines = [f"run {record['run_id']}: {sizes}"]
    if parent is not None:
        done = {"add": "added to", "remove": "removed from"}[parent["change"]]
        lines.append(f"{parent['n_rows']:,} {done} those of run {parent['run_id']}")
    for finding in record["findings"]:
        measured, allowed = finding["measured"], finding["allowed"]
        told = "not told" if measured is None else f"{measured:.2g}, allowed {allowed:.2g}"
        lines.append(f"audit {finding['name']}: {finding['verdict']} ({told})")
    lines += [f"{name}: {place}" for name, place in record["outputs"].items()]
    return "\n".join(lines)


def _summary_json(record: dict[str, Any]) -> str:
    """Return the run as one line of JSON: its id, method, inputs, findings and outputs."""
    return json.dumps({name: record[name] for name in ("run_id", "method", "inputs", "findings", "outputs")})


if __name__ == "__main__":
    sys.exit(main())
