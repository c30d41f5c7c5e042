"""Decision 0054: simulated jobs of the sharded plan, with one task that merges for each chunk, and for each core."""

from __future__ import annotations

import sys
from unittest import mock

from tests.bench import scale
from tests.bench.decisions import print_machine
from tests.bench.simulated_cluster import Work


def main() -> int:
    """Print seconds of 64 chunks in all, and where parts are merged, before and now, by the same measured rates."""
    print_machine()
    rates = scale.measured_rates(scale.N_FEATURES)
    print("N, hosts: blocks; seconds before, of these merging; seconds now, of these merging")
    for n_rows in scale.N_ROWS:
        for n_hosts in scale.N_HOSTS:
            _, plan = scale.planned(n_rows, n_hosts)
            with mock.patch.object(Work, "n_mergers", lambda work, _n_tasks: work.n_chunks):
                before = scale.simulated(plan, n_rows, n_hosts, rates)
            now = scale.simulated(plan, n_rows, n_hosts, rates)
            told = [f"{row['in all, s']:,.0f}, {row['merge, s']:,.0f}" for row in (before, now)]
            print(f"{n_rows:,}, {n_hosts}: {plan.n_blocks:,}; {'; '.join(told)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
