"""By workers: the replicated plan without Spark, for jobs of one machine.

    training rows --places--> index: the same files, in a folder of this process, which workers map
    validation rows --hash of id--> chunks, held here --> workers, a chunk at a time, `tasks.value_chunks`
        partials of chunks --in the order of chunks, pairwise--> waves --> totals

A worker (`dvspark.local.workers`) computes as one of Spark's does, by one thread; so values have the same bits.
"""

from __future__ import annotations
