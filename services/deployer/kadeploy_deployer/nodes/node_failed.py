"""The error of a node that cannot do what is asked of it."""


class NodeFailed(Exception):
    """A node cannot do its step; `str()` is one sentence. The step's own reason goes with it."""
