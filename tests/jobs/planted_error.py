"""The command line with one function of the driver replaced by a faulty one: the audit must notice."""

from __future__ import annotations

import sys
from typing import Any

from dvspark.cli import main
from dvspark.methods.finalize import finalize
from dvspark.run import finalize as finalize_stage


def faulty(*arguments: Any, **options: Any) -> Any:
    """Return what finalize does, with one value moved by 1e-8."""
    values, errors = finalize(*arguments, **options)
    values[0] += 1e-8
    return values, errors


if __name__ == "__main__":
    finalize_stage.finalize = faulty
    sys.exit(main(["value", *sys.argv[1:]]))
