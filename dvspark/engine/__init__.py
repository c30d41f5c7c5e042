r"""Engine: how Spark, or this machine alone, does the kernels' work. Two plans, one contract, the same bits.

Replicated (`engine.replicated`), if the index fits a host:

    training rows --pack--> index: files + sha256  --shared, shipped, or where it lies-->  one mapped copy a host
    validation rows --hash of id--> chunks --> tasks: a chunk at a time, `tasks.value_chunks`
        partials (train block, chunk) --by wave and block, in the order of chunks (`reduce`)--> waves --> totals

Sharded (`engine.sharded`), if the index does not fit a host:

    training rows --> blocks: files on shared storage, one task a block works on it where it lies
    validation rows --hash of id--> chunks --> files that every block's task reads
        blocks tell of each point    keys of all rows, or bins and near rows, nearest rows, or two counts (`EXCHANGES`)
        one task merges a point      and gives back what its rows get
        blocks add up values         of a chunk (`block_sums`) --> waves --> totals

By workers (`engine.by_workers`): the replicated plan without Spark, by workers of this machine.
Games (`engine.games`): tasks or workers play ranges of draws in place of chunks.
`points`: what stages ask of validation rows besides values, by where the rows are.

`index`: how training rows are written, described, cached and opened, whole or in blocks. `planning`: which plan, what
it takes, what it will cost. `chunks`, `tasks` and `reduce` serve both plans: how validation rows are cut, what runs on
executors (iterators of Arrow batches, no Spark in sight), and the fixed order in which partials are added.

Every process that has kernels run loads this page, and with it says where Numba keeps what it compiles.
"""

from __future__ import annotations

from dvspark.host.numba_cache import use_private_cache
from dvspark.kernels import loops

loops.before_numba = use_private_cache
