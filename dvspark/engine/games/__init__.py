"""Games on Spark, and games that go on: ranges of draws are played by tasks, and what is done is kept in a ledger.

- `ranges`: what a task does with the numbers of ranges, on plain Arrow batches. `on_spark`: who gets which.
- `game_ledger`: the totals of finished ranges, in a file.
"""

from __future__ import annotations
