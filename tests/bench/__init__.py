"""Measurements, run by `make bench-…` and by no test: they print a table and write build/bench/."""
