"""What bootctl does: one function per use case, with its dependencies as keyword arguments."""
