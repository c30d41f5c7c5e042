"""Private runs: their random identity, and which part of their record is published.

Neither depends on the private table.
private/run_ids/…json             identity of a run, under its secret: found again by a start with the same inputs
private/run_id=…/release.json     the noisy counts, and the key of the sample
private/run_id=…/record.json      the whole run record, with digests and exact counts
private/rejected/run_id=…/        rows set aside
private/budget/…/                 what has been released of a table, see `runs.budget`

All of it is for whoever runs the job. Folders have the mode 0700.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dvspark.errors import OutputConflictError, Problem
from dvspark.runs.documents import sealed, unsealed
from dvspark.runs.files import Files, read_if_there, write_whole

FOLDER = "private"
# Fields of a record that are the same whatever the private table holds. The others are chosen below, or left out.
PUBLIC = (
    "schema_version",
    "run_id",
    "fingerprint",
    "created",
    "dvspark_version",
    "method",
    "metric",
    "precision",
    "ties",
    "aggregate",
    "self_validation",
    "ranking",
    "tolerance",
    "error_bound",
    "row_bounds",
    "parent",
    "privacy",
    "environment",
)
PUBLIC_INPUTS = ("validation", "n_features", "n_classes", "n_classes_source", "n_validation")
# Findings that are measured on noisy counts alone.
PUBLIC_FINDINGS = ("neighbors",)


@dataclass(frozen=True)
class Identity:
    """The run id and fingerprint of a private run. Both are random, and kept under the run's secret."""

    run_id: str
    fingerprint: str


def new_identity(method: str, run_id: str | None) -> Identity:
    """Return an identity for a run that has none yet, with ``run_id`` if one was given."""
    return Identity(run_id or f"{method}-{secrets.token_hex(6)}", secrets.token_hex(32))


def kept_identity(files: Files, secret: str) -> Identity | None:
    """Return the identity that an earlier start of the run kept, or None. ``secret`` is the run's true fingerprint.

    Raises: OutputConflictError if the file is damaged.
    """
    name = _name(secret)
    content = read_if_there(files, name)
    if content is None:
        return None
    told = unsealed(content)
    if told is None or told.pop("key", None) != _key(secret):
        hint = "remove the file: the run then starts anew, and spends the budget once more"
        got = "a damaged file" if told is None else "who another run is"
        raise OutputConflictError(Problem(name, "who a private run is", got, hint))
    return Identity(**told)


def keep_identity(files: Files, secret: str, identity: Identity) -> Identity:
    """Keep an identity and return it, or return the one that another start has kept meanwhile.

    Raises: OutputConflictError if several starts keep one at the same time and none can tell which was first.
    """
    files.make_private(FOLDER)
    files.write_first(_name(secret), sealed({"key": _key(secret), **asdict(identity)}))
    kept = kept_identity(files, secret)
    if kept is None:
        hint = "start it again; if no other start is running, one was killed: remove what it left beside this file"
        raise OutputConflictError(Problem(_name(secret), "one start at a time", "several at once", hint))
    return kept


def keep_record(files: Files, run_id: str, record: Mapping[str, Any]) -> None:
    """Keep the whole record of a run, including what is not published, for whoever runs the job."""
    files.make_private(FOLDER)
    write_whole(files, _record_name(run_id), sealed(record, indent=1))


def kept_record(files: Files, run_id: str, fingerprint: str) -> dict[str, Any]:
    """Return the whole record of a published run.

    Raises: OutputConflictError if the record is gone, damaged or another run's.
    """
    name = _record_name(run_id)
    content = read_if_there(files, name)
    told = unsealed(content or b"")
    if told is None or (told.get("run_id"), told.get("fingerprint")) != (run_id, fingerprint):
        hint = "put a copy back, or pass --force to publish the run again, which draws and spends nothing"
        got = "no such file" if content is None else "one that is damaged, or another run's"
        raise OutputConflictError(Problem(name, "the whole record of a private run", got, hint))
    return told


def public_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a private run's record that may be published, because it does not depend on the private table.

    These are left out: digests, counts and places of the training rows, the digest of all owners' values, plan, times,
    warnings and measurements.
    """
    shown = {name: record[name] for name in PUBLIC}
    shown["inputs"] = {
        "train": {"types": record["inputs"]["train"]["types"]},
        **{name: record["inputs"][name] for name in PUBLIC_INPUTS},
    }
    shown["plan"], shown["stages"], shown["warnings"] = {}, [], []
    shown["findings"] = [_public_finding(finding) for finding in record["findings"]]
    shown["outputs"] = {name: place for name, place in record["outputs"].items() if name != "rejected"}
    if "configuration" in record:
        left_out = ("train", "work_dir", "host_memory", "budget")
        shown["configuration"] = {n: value for n, value in record["configuration"].items() if n not in left_out}
    return shown


def _public_finding(finding: Mapping[str, Any]) -> dict[str, Any]:
    if finding["name"] in PUBLIC_FINDINGS:
        return dict(finding)
    return {**finding, "measured": None, "allowed": None, "meaning": "kept for who runs the job"}


def _record_name(run_id: str) -> str:
    return f"{FOLDER}/run_id={run_id}/record.json"


def _name(secret: str) -> str:
    return f"{FOLDER}/run_ids/{_key(secret)}.json"


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
