"""Latest: which run was published last, for whoever wants the newest values and knows no run id.

runs/latest.json    its run id, when it was published, and its record and report; sealed, and put in place in one step

It is written when the run's record is there, so a killed run leaves the earlier one; of runs that publish at once the
one that ends last stays. What it names may be removed since: `latest_run` looks.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dvspark.runs.documents import missing_in, sealed, unsealed
from dvspark.runs.files import Files, read_if_there
from dvspark.runs.identity import published_id_problems

LATEST = "runs/latest.json"


def write_latest(files: Files, staging: str, run_id: str, *, has_report: bool, published: str | None = None) -> None:
    """Say that a run, whose record is in its place, is the latest; ``published`` UTC, None: now.

    ``staging``: a folder of the caller's, from where the file is renamed.
    """
    told = {
        "run_id": run_id,
        "published": published or datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "record": f"runs/{run_id}/run.json",  # from the output folder, which may be moved
        "report": f"runs/{run_id}/report.html" if has_report else None,
    }
    files.write(f"{staging}/latest.json", sealed(told, indent=2))
    files.rename(f"{staging}/latest.json", LATEST)


def latest_run(files: Files) -> dict[str, Any] | None:
    """Return what `write_latest` has told; None where it has not, or is damaged, or that run is there no more."""
    told = unsealed(read_if_there(files, LATEST) or b"")
    if told is None or missing_in(told, {"run_id": str, "published": str}) or published_id_problems(told["run_id"]):
        return None
    return told if files.exists(f"runs/{told['run_id']}/run.json") else None


def repair_latest(files: Files, record: Mapping[str, Any]) -> None:
    """Say that a published run is the latest if that was left out: its process was killed in the moment before."""
    latest, created = latest_run(files), record["created"]
    if latest is not None and datetime.fromisoformat(created) <= datetime.fromisoformat(latest["published"]):
        return
    staging = f"_staging-{record['run_id']}-{secrets.token_hex(4)}"
    try:
        write_latest(
            files, staging, record["run_id"], has_report="report" in record.get("outputs", {}), published=created
        )
    finally:
        files.remove(staging)
