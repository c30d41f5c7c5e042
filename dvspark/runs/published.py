"""Published: the record of a run that is published, read back and checked before anything in it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dvspark.errors import ConfigError, Problem
from dvspark.runs.documents import missing_in, unsealed
from dvspark.runs.files import Files, read_if_there
from dvspark.runs.identity import published_id_problems


def record_of(
    files: Files, run_id: str, used: Mapping[str, type], asked: str = "run_id", shown: Callable[[str], str] = str
) -> tuple[dict[str, Any] | None, str]:
    """Return the record of a published run as it was written, or None and what lies in its place.

    ``used``: the entries that the caller goes on to use, with their types. ``asked`` is what messages call the id,
    ``shown`` how they show the name of a file.
    Raises: ConfigError for an id that cannot be, a run that is not published, or a record that cannot be read.
    """
    if problems := published_id_problems(run_id, asked):
        raise ConfigError(problems)
    name = f"runs/{run_id}/run.json"
    try:
        content = read_if_there(files, name)
    except OSError as error:
        raise ConfigError(Problem(f"run {run_id}", f"a file {shown(name)} that can be read", str(error))) from error
    if content is None:
        hint = "give the id of a published run, and the output folder it is in"
        raise ConfigError(Problem(f"run {run_id}", f"a published run with {shown(name)}", "none", hint))
    record = unsealed(content)
    if record is None:
        return None, "another file, or one that was changed"
    if lost := missing_in(record, used):
        return None, f"another file, without {', '.join(lost)}"
    if record.get("run_id") != run_id:
        return None, f"that of run {record.get('run_id')}"
    return record, ""
