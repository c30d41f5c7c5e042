"""`python -m dvspark.cli` runs the command line, as `python -m dvspark` does."""

from __future__ import annotations

import sys

from dvspark.cli import main

if __name__ == "__main__":
    sys.exit(main())
