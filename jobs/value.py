"""Value a training table: `spark-submit jobs/value.py CONFIG.yaml [--section.key VALUE ...] [--json]`."""

from __future__ import annotations

import sys

from dvspark.__main__ import main

if __name__ == "__main__":
    # A host that runs scripts in an interpreter of its own may take any SystemExit for a failure: success just ends.
    if exit_code := main(["value", *sys.argv[1:]]):
        sys.exit(exit_code)
