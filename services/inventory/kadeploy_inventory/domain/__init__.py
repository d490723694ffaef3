"""The words of the inventory and their rules. Nothing here does I/O or knows protobuf or SQL."""
