"""What `dvspark value`, `review`, `plan`, `stream` and `demo` do."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from dvspark import logs
from dvspark.cli.declared import COMMANDS
from dvspark.cli.words import own_words, place_of
from dvspark.config.goals import GOALS
from dvspark.config.job import JobConfig
from dvspark.config.sources import asked_log_format, load_config, parse_overrides
from dvspark.errors import ConfigError, Problem
from dvspark.host.printing import tell
from dvspark.logs.redact import redacted_tree, visible_tree
from dvspark.report.lowest import lowest_lines
from dvspark.run import pipeline, plan_job, stream
from dvspark.run.change.change import parent_record
from dvspark.run.engine_choice import open_engine, open_spark
from dvspark.run.frames.showing import sizes
from dvspark.tables.storage import open_storage

CHANGE_WORDS = {"--add-validation": "add", "--remove-validation": "remove"}


def run_value(words: list[str]) -> int:
    """Value training rows and publish the values."""
    return _job(words, pipeline.run, _summary, _summary_json, open_engine)


def run_review(words: list[str]) -> int:
    """Value training rows, and decide for each; by each other if no validation rows are given."""
    return _job(words, pipeline.run, _summary, _summary_json, open_engine, reviewing=True)


def run_plan(words: list[str]) -> int:
    """Tell what a job would take; write nothing."""
    return _job(words, plan_job.plan_job, plan_job.plan_text, json.dumps, open_spark)


def run_stream(words: list[str]) -> int:
    """Value again whenever validation rows arrive."""
    return _job(words, stream.run_stream, stream.stream_text, json.dumps, open_spark)


def run_demo(words: list[str]) -> int:
    """Value the sample that ships with dvspark."""
    from dvspark import demo  # noqa: PLC0415 - only here

    declared = COMMANDS["demo"]
    _, options = own_words(declared, words)
    return demo.run(Path(options.get("--output") or str(declared.options[0].default)))


def _job(
    words: list[str],
    work: Callable[[JobConfig, Any], dict[str, Any]],
    text: Callable[[dict[str, Any]], str],
    one_line: Callable[[dict[str, Any]], str],
    opened: Callable[[JobConfig], AbstractContextManager[Any]],
    *,
    reviewing: bool = False,
) -> int:
    """Do the work of a job in a session, and print the result, for a person or as one line of JSON.

    ``reviewing``: it reviews, and without a validation table, from wherever settings come, rows judge each other.
    """
    logs.set_up_logs(asked_log_format(words))
    as_json = "--json" in words
    words = [word for word in words if word != "--json"]
    words, change = _taken_change(words)
    path = Path(words.pop(0)) if words and not words[0].startswith("--") else None
    overrides = parse_overrides(words) | ({"review": "true"} if reviewing else {})
    base = {"self_validation": "true"} if reviewing else None
    config = _changed_config(change, path, overrides) if change else load_config(path, overrides, base)
    logs.set_up_logs(config.log_format)
    with opened(config) as session:
        found = work(config, session)
    found = redacted_tree(found)
    tell((one_line(found) if as_json else text(visible_tree(found))) + "\n")
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
    folder, run_id = place_of(run)
    if run_id is None:
        run_id = run.rstrip("/")
    else:
        output = folder
    if output is None:
        hint = "give --output FOLDER, or the run as OUTPUT/runs/RUN_ID"
        raise ConfigError(Problem("output", "the folder of the run", "none", hint))
    base = parent_record(open_storage(output), run_id)["configuration"]
    # A change is not reviewed. What was not asked for now, but for the other run, is no reason to refuse it.
    base = {name: value for name, value in base.items() if name not in ("review", "goal")}
    changed = {
        "validation": {**(overrides.get("validation") or {}), "path": table},
        "output": {**(base.get("output") or {}), "path": output},
        "parent": run_id,
        "change": kind,
    }
    return load_config(path, {**overrides, **changed}, base)


def _summary(record: dict[str, Any]) -> str:
    """Return the text that a person reads at the end of a run."""
    parent, (train, validation) = record.get("parent"), sizes(record)
    lines = [f"run {record['run_id']}: {train} valued by {validation}"]
    if parent is not None:
        done = {"add": "added to", "remove": "removed from"}[parent["change"]]
        lines.append(f"{parent['n_rows']:,} {done} those of run {parent['run_id']}")
    lines += _set_aside(record)
    for finding in record["findings"]:
        measured, allowed = finding["measured"], finding["allowed"]
        told = "not told" if measured is None else f"{measured:.2g}, allowed {allowed:.2g}"
        lines.append(f"audit {finding['name']}: {finding['verdict']} ({told})")
    if (review := record.get("review")) is not None:
        lines.append("decisions: " + ", ".join(f"{word} {n:,}" for word, n in review["decisions"].items()))
    lines += [f"{name}: {place}" for name, place in record["outputs"].items()]
    if found := lowest_lines(record.get("lowest_rows", ())):
        lines += ["", *found]
    if step := _next_step(record):
        lines.append(f"next: {step}")
    return "\n".join(lines)


def _set_aside(record: dict[str, Any]) -> list[str]:
    """Return a line for each side with bad rows that were set aside."""
    found = {side: record["inputs"][side].get("n_rejected") for side in ("train", "validation")}
    if record.get("self_validation"):
        found.pop("validation")  # it is the training table
    places = "their reasons are in rejected"
    return [f"set aside: {n:,} bad {side} row{'s' if n != 1 else ''}; {places}" for side, n in found.items() if n]


def _next_step(record: dict[str, Any]) -> str:
    """Return the command that comes next, for the run's goal; nothing where that is open."""
    reviewed = "label_errors" if record.get("review") else "values"
    goal = record.get("configuration", {}).get("goal") or reviewed
    step = GOALS[goal].next_step
    return step and step.replace("RUN", record["outputs"]["run"].rpartition("/")[0])


def _summary_json(record: dict[str, Any]) -> str:
    """Return the run as one line of JSON: its id, method, inputs, findings and outputs."""
    told = ("run_id", "method", "inputs", "findings", "review", "outputs")
    return json.dumps({name: record[name] for name in told if name in record})
