"""Engine: where the kernels run. `local` in this process, `replicated` on Spark; same index, same chunks."""
