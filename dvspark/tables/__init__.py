"""Tables: everything that touches storage. Inputs are read (`sources`) and checked, results are published (`sinks`)."""
