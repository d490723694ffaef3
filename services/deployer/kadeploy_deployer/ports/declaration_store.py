"""What the database keeps of systems that something else than a deployment installed.

Each method is one durable transaction.
"""

from collections.abc import Mapping
from typing import Protocol

from kadeploy_deployer.domain.declaration import Declaration


class DeclarationStore(Protocol):
    """What partitions are declared to hold."""

    async def declare(self, declaration: Declaration) -> Mapping[str, str]:
        """Stores what partitions hold, in place of what was known of them.

        Returns who holds the nodes that kept what they had: node → deployment or operation.
        """
        ...
