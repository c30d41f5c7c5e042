"""`python -m dvspark.cli` is `python -m dvspark`."""

from __future__ import annotations

import sys

from dvspark.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
