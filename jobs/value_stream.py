"""Keep values current as rows arrive: `spark-submit jobs/value_stream.py CONFIG.yaml [--section.key VALUE ...]`."""

from __future__ import annotations

import sys

from dvspark.__main__ import main

if __name__ == "__main__":
    # A host that runs scripts in an interpreter of its own may take any SystemExit for a failure: success just ends.
    if exit_code := main(["stream", *sys.argv[1:]]):
        sys.exit(exit_code)
