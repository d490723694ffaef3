"""The steps of a deployment, one file each.

A step works on a set of nodes and returns an outcome per node; one bad node never stops the others. It is
idempotent: run again for the same nodes, after a crash at any point, it ends the same. It never changes a state:
the runner does.
"""
