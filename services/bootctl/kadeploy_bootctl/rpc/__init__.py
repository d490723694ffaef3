"""The contract's calls: convert, call, convert. pb2 types stop here."""
