"""The demo: a real sample of 10,000 Debian packages, valued on this machine. README.md beside this file says more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dvspark import logs
from dvspark.config.sources import load_config
from dvspark.host.printing import tell
from dvspark.report.lowest import lowest_lines
from dvspark.run import pipeline
from dvspark.run.engine_choice import open_engine

DATA = Path(__file__).parent


def run(output: Path) -> int:
    """Value and review the sample, print what was found, and return the exit code.

    Cost: some 15 s of CPU.
    """
    logs.set_up_logs("text")
    tell("Which of 8,000 Debian packages are filed under the wrong section? 2,000 others tell.\n\n")
    settings = {
        "train": {"path": str(DATA / "train.parquet"), "owner": "owner"},
        "validation": {"path": str(DATA / "validation.parquet")},
        "output": {"path": str(output)},
        "goal": "label_errors",
        "k": 10,
        "metric": "cosine",
        "engine": "local",
    }
    config = load_config(None, settings)
    with open_engine(config) as session:
        record = pipeline.run(config, session)
    tell(_summary(record))
    return 0


def _summary(record: dict[str, Any]) -> str:
    """Return what was found as text for a person."""
    verdicts = ", ".join(f"{finding['name']} {finding['verdict']}" for finding in record["findings"])
    lines = [f"\naudit: {verdicts}", "\nA row is a package, and its label the section."]
    lines += lowest_lines(record["lowest_rows"])
    decisions = ", ".join(f"{n:,} to {word}" for word, n in record["review"]["decisions"].items())
    lines.append(f"\nThe review decided on each row: {decisions}.\n")
    lines += [f"{name:<7} {record['outputs'][name]}" for name in ("values", "review", "report")]
    folder = record["outputs"]["run"].rpartition("/")[0]
    return "\n".join([*lines, f"next    dvspark clean {folder} --output FOLDER --dry-run", ""])
