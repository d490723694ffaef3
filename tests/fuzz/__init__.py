"""A fuzz of every parser of texts that people and programs send: `make fuzz COUNT=1000000`."""
