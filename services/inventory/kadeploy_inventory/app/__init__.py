"""What the inventory does: one function per use case, each inside a transaction that its caller opens."""
