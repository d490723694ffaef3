"""What driving a deployment or operation wants of the database: the journal.

Each method is one durable transaction. Methods that take a `Lease` raise LeaseLost, and change nothing, when it is not
the present one or the deployment is finished.
"""

from collections.abc import Sequence
from typing import Protocol

from kadeploy_deployer.domain.deployment import Lease
from kadeploy_deployer.ports.journal_entries import JournalEntry
from kadeploy_deployer.ports.store_values import Ending, RunData


class JournalStore(Protocol):
    """Where each node is, and what became of it."""

    async def load(self, deployment_id: str) -> RunData:
        """Returns all that the runner needs. Raises DeploymentNotFound."""
        ...

    async def write(self, lease: Lease, entries: Sequence[JournalEntry], *, now: float) -> None:
        """Writes to the journal: transitions of nodes, locks given up, outputs, remarks; all of them or none.

        A node that is not where its transition begins means that somebody else wrote: LeaseLost.
        """
        ...

    async def end(self, lease: Lease, ending: Ending, *, now: float) -> None:
        """Ends a deployment or operation: all its nodes are free again, and nothing changes any more."""
        ...
