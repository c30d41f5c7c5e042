"""Decision 0053: simulated jobs of the sharded plan, with two blocks for each core, and with those that it has."""

from __future__ import annotations

import sys
from unittest import mock

from dvspark.engine.planning import plan
from tests.bench import scale
from tests.bench.decisions import print_machine


def main() -> int:
    """Print blocks and seconds of 64 chunks, before and now, by the same measured rates."""
    print_machine()
    rates = scale.measured_rates(scale.N_FEATURES)
    print("N, hosts: blocks before, now; seconds of 64 chunks before, now")
    for n_rows in scale.N_ROWS:
        for n_hosts in scale.N_HOSTS:
            with mock.patch.object(plan, "_worthwhile_blocks", lambda _sizes, hosts, _rows: 2 * hosts.n_tasks):
                _, before = scale.planned(n_rows, n_hosts)
            _, now = scale.planned(n_rows, n_hosts)
            seconds = [scale.simulated(one, n_rows, n_hosts, rates)["in all, s"] for one in (before, now)]
            told = f"{before.n_blocks:,}, {now.n_blocks:,}; {seconds[0]:,.0f}, {seconds[1]:,.0f}"
            print(f"{n_rows:,}, {n_hosts}: {told}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
