"""The use cases: one module per kind of request, called by `rpc/`."""
