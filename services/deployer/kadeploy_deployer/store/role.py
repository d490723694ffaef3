"""What every role of the store works with."""

from collections.abc import Callable

from kadeploy_deployer.store.database import Database

PATIENCE = 60.0
"""How long a journal waits for a database that does not answer: what was done to nodes must not be forgotten."""


class Role:
    """One role of the store.

    Args:
        database: where.
        on_commit: called with the deployment's id after each commit that added to its events.
    """

    def __init__(self, database: Database, *, on_commit: Callable[[str], None] = lambda _: None) -> None:
        self._database = database
        self._on_commit = on_commit
