"""`dvspark report`: writes the report of a published run again, or against another run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dvspark.cli.declared import COMMANDS
from dvspark.cli.words import own_words, place_of
from dvspark.cli.writing import write_new
from dvspark.errors import ConfigError, Problem
from dvspark.host.printing import tell
from dvspark.logs.redact import visible
from dvspark.report import require_packages
from dvspark.run.presenting.report_again import report_again


def run(words: Sequence[str]) -> int:
    """Write the report and say where it is.

    Raises: ConfigError for a run that is not published, OutputConflictError if something is there already.
    """
    operands, options = own_words(COMMANDS["report"], words)
    if not operands:
        hint = "the folder of the results has the run that was published last"
        raise ConfigError(Problem("dvspark report", "RUN: OUTPUT/runs/RUN_ID, or OUTPUT", "nothing", hint))
    require_packages()
    against = place_of(options["--against"]) if "--against" in options else None
    run_id, html = report_again(*place_of(operands[0]), against, options.get("--show"))
    path = Path(options.get("--to", f"report-{run_id}.html"))
    write_new(path, html.encode(), force="--force" in options)
    tell(f"wrote {visible(str(path))}\n")
    return 0
