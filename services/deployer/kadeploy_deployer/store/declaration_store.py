"""Implements `ports.declaration_store.DeclarationStore`: one transaction, off the event loop."""

from collections.abc import Mapping

from typing_extensions import override

from kadeploy_deployer.domain.declaration import Declaration
from kadeploy_deployer.ports.declaration_store import DeclarationStore
from kadeploy_deployer.store import declarations
from kadeploy_deployer.store.role import Role


class SqlDeclarationStore(Role, DeclarationStore):
    """See the port."""

    @override
    async def declare(self, declaration: Declaration) -> Mapping[str, str]:
        return await self._database.write(lambda c: declarations.declare(c, declaration), grows=True)
