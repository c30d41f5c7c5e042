"""What the installed pyarrow can do: tests of what only later versions can are left out on earlier ones."""

from __future__ import annotations

import pyarrow as pa
import pytest

MAJOR = int(pa.__version__.partition(".")[0])
writes_views = pytest.mark.skipif(MAJOR < 21, reason="pyarrow before 21 writes no views to Parquet")
READS_FIXED_NULLS = MAJOR >= 26
