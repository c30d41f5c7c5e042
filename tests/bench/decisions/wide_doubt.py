"""Decision 0050: what points take if doubt makes their bins wide, without and with more near rows for them."""

from __future__ import annotations

import os
import sys
from typing import Any
from unittest import mock

from dvspark.kernels.binning import binned, bins
from tests.bench.decisions import print_machine
from tests.bench.frame import apart, cpu_seconds
from tests.bench.kernel import on_normal_rows

SHAPES = (
    (200_000, 512, 256),
    (200_000, 2_048, 128),
    (200_000, 4_096, 64),
    (500_000, 1_024, 128),
    (1_500_000, 256, 256),
    (1_500_000, 2_048, 64),
)
RUNS = 2


def main() -> int:
    """Print CPU milliseconds a point, and how many points the first bins do not serve, without and with more rows."""
    print_machine()
    print("N, D, points: before, ms, points that come again; now, ms, points that come again; load")
    for n, d, m in SHAPES:
        before, now = (apart(measured, n=n, d=d, m=m, more=more) for more in (False, True))
        told = f"{before['ms']:.2f}, {before['again']}; {now['ms']:.2f}, {now['again']}"
        print(f"{n:,}, {d:,}, {m}: {told}; {os.getloadavg()[0]:.1f}", flush=True)
    return 0


def measured(n: int, d: int, m: int, more: bool) -> dict[str, Any]:
    """Return CPU milliseconds a point on normal data, and how many points the first bins did not serve."""
    value = on_normal_rows(n, d, m, "binned")
    again, of_round = [], binned._round

    def counted(*given: Any) -> Any:
        found = of_round(*given)
        again.append(len(found[1]))
        return found

    levels = bins.NEAR_WHERE_WIDER if more else ()
    with mock.patch.object(binned, "_round", counted), mock.patch.object(bins, "NEAR_WHERE_WIDER", levels):
        seconds = cpu_seconds(value, RUNS)
    return {"ms": 1e3 * seconds / m, "again": again[0]}


if __name__ == "__main__":
    sys.exit(main())
