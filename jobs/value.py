"""Value a training table: `spark-submit jobs/value.py CONFIG.yaml [--section.key VALUE ...] [--json]`."""

from __future__ import annotations

import sys

from dvspark.cli import main

if __name__ == "__main__":
    sys.exit(main(["value", *sys.argv[1:]]))
