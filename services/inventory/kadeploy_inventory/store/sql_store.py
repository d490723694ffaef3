"""Runs use cases in transactions on the two databases."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, InternalError, OperationalError

from kadeploy_database.failures import whole_rows
from kadeploy_database.space_reserve import SpaceReserve, run_within
from kadeploy_inventory.app.ports import ResultT, Work
from kadeploy_inventory.domain.errors import ConcurrentChange, DatabaseUnreachable
from kadeploy_inventory.store.cluster_repository import ClusterRepository
from kadeploy_inventory.store.engine import WRITES
from kadeploy_inventory.store.environment_repository import EnvironmentRepository
from kadeploy_inventory.store.known_nodes import KnownNodes
from kadeploy_inventory.store.node_repository import NodeRepository
from kadeploy_inventory.store.right_repository import RightRepository

ATTEMPTS: Final = 3
_LOG = logging.getLogger(__name__)


class SqlWork:
    """One transaction's view. Each database is asked only when it is needed."""

    def __init__(
        self, deploy: Callable[[], Connection], deploy_right: Callable[[], Connection], known: KnownNodes | None
    ) -> None:
        self._begin_deploy = deploy
        self._begin_deploy_right = deploy_right
        self._known = known

    @cached_property
    def _deploy(self) -> Connection:
        return self._begin_deploy()

    @cached_property
    def nodes(self) -> NodeRepository:
        """The registered nodes."""
        return NodeRepository(self._deploy, self._known)

    @cached_property
    def clusters(self) -> ClusterRepository:
        """The clusters."""
        return ClusterRepository(self._deploy)

    @cached_property
    def environments(self) -> EnvironmentRepository:
        """The recorded environments."""
        return EnvironmentRepository(self._deploy)

    @cached_property
    def rights(self) -> RightRepository:
        """The rights."""
        return RightRepository(self._begin_deploy_right())


class SqlStore:
    """The two databases. A use case reads both and writes one, so no commit spans the two.

    Args of the constructor:
        deploy, deploy_right: the databases.
        reserve_space: whether room is kept on their disks for what only removes (`SpaceReserve`).
    """

    def __init__(self, *, deploy: Engine, deploy_right: Engine, reserve_space: bool = False) -> None:
        self._reading_deploy, self._writing_deploy = deploy, _writer(deploy)
        self._reading_right, self._writing_right = deploy_right, _writer(deploy_right)
        self._known = KnownNodes()
        self._deploy_reserve = SpaceReserve(deploy) if reserve_space else None
        self._right_reserve = SpaceReserve(deploy_right) if reserve_space else None

    def read(self, use_case: Callable[[Work], ResultT]) -> ResultT:
        """Runs a use case that changes nothing."""
        return _run(use_case, self._reading_deploy, self._reading_right, self._known)

    def change_deploy(self, use_case: Callable[[Work], ResultT], *, frees: bool = False) -> ResultT:
        """Runs a use case that writes nodes, clusters or environments."""
        return run_within(
            self._deploy_reserve, lambda: _run(use_case, self._writing_deploy, self._reading_right), grows=not frees
        )

    def change_rights(self, use_case: Callable[[Work], ResultT], *, frees: bool = False) -> ResultT:
        """Runs a use case that writes rights."""
        return run_within(
            self._right_reserve, lambda: _run(use_case, self._reading_deploy, self._writing_right), grows=not frees
        )


def _writer(engine: Engine) -> Engine:
    return engine.execution_options(**{WRITES: True})


def _run(
    use_case: Callable[[Work], ResultT], deploy: Engine, deploy_right: Engine, known: KnownNodes | None = None
) -> ResultT:
    """Runs the use case again when another writer came between its look and its leap.

    Raises DatabaseFull, DatabaseDamaged, DatabaseUnreachable, ConcurrentChange; nothing was written then.
    """
    failure: DBAPIError | None = None
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with whole_rows(deploy.url), ExitStack() as transactions:
                work = SqlWork(
                    lambda: transactions.enter_context(deploy.begin()),
                    lambda: transactions.enter_context(deploy_right.begin()),
                    known,
                )
                return use_case(work)
        except InterfaceError as error:
            # The driver found its connection gone before it said anything.
            raise DatabaseUnreachable(
                "the connection to the inventory's database broke; nothing was written"
            ) from error
        except (IntegrityError, OperationalError, InternalError) as error:
            _LOG.warning("transaction=failed attempt=%d error=%r", attempt, error.orig)
            failure = error
    if isinstance(failure, IntegrityError):
        raise ConcurrentChange(
            "another call changed the same things at the same time; nothing was written, try again"
        ) from failure
    raise DatabaseUnreachable("the inventory's database does not answer; nothing was written") from failure
