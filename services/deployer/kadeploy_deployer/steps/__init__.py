"""The steps of a deployment, one file each.

A step works on one node and returns what is known of it then, or raises why the node failed. It is idempotent: run
again for the same node, after a crash at any point, it ends the same. It never changes a state: the engine does.
"""
