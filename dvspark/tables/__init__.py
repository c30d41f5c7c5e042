"""Tables: the edge to storage. `read` pins inputs, `validate` checks them, `write` publishes results."""
