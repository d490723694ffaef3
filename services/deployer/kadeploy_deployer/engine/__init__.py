"""Drives what is done to nodes: leases, fences, the journal, events, admission, the walk through a plan."""
