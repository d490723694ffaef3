"""The one error of the builders: a sentence for the person who typed the command."""


class BuildFailure(Exception):
    """Says in one sentence what stopped the build and what to do about it."""
