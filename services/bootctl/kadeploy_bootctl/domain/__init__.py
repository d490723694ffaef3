"""The words of bootctl and their rules. Nothing here does I/O or knows protobuf."""
