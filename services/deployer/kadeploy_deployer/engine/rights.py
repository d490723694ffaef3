"""A user's right to act on nodes, asked of the inventory at each use: one that has ended opens nothing any more.

Deployments ask before they take nodes and before each step; operations before each act on a node. An inventory that
does not answer says nothing of rights: it is asked again for a while. Nothing is remembered from one use to the next.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from kadeploy_deployer.domain import node_set
from kadeploy_deployer.domain.errors import DEPLOY, RightMissing
from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.domain.snapshot import DeploymentSpec, NodeSnapshot
from kadeploy_deployer.domain.states import FailureReason
from kadeploy_deployer.engine.write_batcher import WriteBatcher
from kadeploy_deployer.ports import Clock, Inventory
from kadeploy_edge.errors import DomainError, Unreachable

PATIENCE = 300.0
"""For how many seconds the inventory is asked again while it does not answer."""
PAUSE = 5.0
WATCH_SECONDS = 60.0
"""How often the right to something that goes on is asked for again."""
MISSED_CHECKS = 3
"""So many of these questions in a row may go unanswered before nobody can say any more that the right is there."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsQuery:
    """Whose right is asked for, and on what.

    Attributes:
        user: whose; empty when none is needed: administrators who act for themselves.
        partitions: by node, "sda3": what a right has to name; any right will do on nodes that are not there.
        more: by node, further partitions that a right has to name too: those of a disk that is overwritten.
        to: what the user wants, as an error says it.
    """

    user: str
    partitions: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Sequence[str]] = field(default_factory=dict)
    to: str = DEPLOY


def overwritten_partitions(spec: DeploymentSpec, nodes: Mapping[str, NodeSnapshot]) -> Mapping[str, Sequence[str]]:
    """Returns by node the partitions that a deployment of a whole disk overwrites; empty for all other deployments."""
    return {name: node.disk_words for name, node in nodes.items()} if spec.whole_disk else {}


async def find_missing_rights(query: RightsQuery, nodes: Sequence[str], *, inventory: Inventory) -> frozenset[str]:
    """Asks once, and returns the nodes on which the user has no right. Raises what the inventory says."""
    if not query.user:
        return frozenset()
    by_partition: dict[str, list[str]] = {}
    for node in nodes:
        for word in dict.fromkeys((query.partitions.get(node, ""), *query.more.get(node, ()))):
            by_partition.setdefault(word, []).append(node)
    missing: set[str] = set()
    for partition, names in by_partition.items():
        allowed = await inventory.check_rights(node_set.fold(names), user=query.user, partition=partition)
        missing.update(node for node in names if not allowed.get(node, False))
    return frozenset(missing)


class RightsGuard:
    """Stands before what is done to nodes on a user's behalf."""

    def __init__(self, query: RightsQuery, *, inventory: Inventory, clock: Clock) -> None:
        self._query = query
        self._inventory = inventory
        self._clock = clock
        self._patient: WriteBatcher[str] = WriteBatcher(partial(self._learn, patience=PATIENCE))
        self._impatient: WriteBatcher[str] = WriteBatcher(partial(self._learn, patience=0.0))
        self._missing: set[str] = set()

    async def ask(self, nodes: Sequence[str]) -> Mapping[str, Failure]:
        """Asks once. Returns why nodes are lost: their user has no right on them. Raises what the inventory says."""
        missing = await find_missing_rights(self._query, nodes, inventory=self._inventory)
        return {node: self._failure(node) for node in nodes if node in missing}

    async def check(self, nodes: Sequence[str]) -> Mapping[str, Failure]:
        """Asks until there is an answer, for a while. Returns why nodes are lost; never raises for the inventory.

        If it has not answered in the end, all nodes are lost for that.
        """
        try:
            missing = await self._find_missing(nodes, patience=PATIENCE)
        except DomainError as error:
            text = f"nobody could say whether {self._query.user} still has the right: {error.message}"
            failure = Failure(reason=FailureReason.INTERNAL, description=text, retriable=False)
            return dict.fromkeys(nodes, failure)
        return {node: self._failure(node) for node in nodes if node in missing}

    async def lost(self, node: str) -> Failure | None:
        """As `check` for one node. Nodes that are asked for at the same time share a question."""
        if not self._query.user:
            return None
        try:
            await self._patient.add(node)
        except DomainError as error:
            text = f"nobody could say whether {self._query.user} still has the right: {error.message}"
            return Failure(reason=FailureReason.INTERNAL, description=text, retriable=False)
        return self._failure(node) if node in self._missing else None

    async def find_refusals(self, nodes: Sequence[str]) -> Mapping[str, RightMissing]:
        """Asks until there is an answer, for a while. Returns the nodes without a right. Raises as `must_have`."""
        missing = await self._find_missing(nodes, patience=PATIENCE)
        return {node: self._refusal(node) for node in nodes if node in missing}

    async def must_have(self, node: str) -> None:
        """Returns if the user has the right on a node. Nodes that are asked for at the same time share a question.

        Raises:
            RightMissing: they have not.
            Unreachable: the inventory did not answer for a while.
        """
        await self._ask_with_others(self._patient, node)

    async def watch(self, node: str) -> None:
        """Never returns; asks again and again, together with others as there. Raises as `must_have`."""
        missed = 0
        while True:
            await self._clock.sleep(WATCH_SECONDS)
            try:
                await self._ask_with_others(self._impatient, node)
            except Unreachable as error:
                missed += 1
                logger.warning("node=%s the right to %s it cannot be checked: %s", node, self._query.to, error)
                if missed >= MISSED_CHECKS:
                    raise
            else:
                missed = 0

    async def _ask_with_others(self, question: WriteBatcher[str], node: str) -> None:
        if self._query.user:
            await question.add(node)
            if node in self._missing:
                raise self._refusal(node)

    async def _learn(self, nodes: list[str], *, patience: float) -> None:
        missing = await self._find_missing(list(dict.fromkeys(nodes)), patience=patience)
        self._missing = (self._missing - set(nodes)) | missing

    async def _find_missing(self, nodes: Sequence[str], *, patience: float) -> frozenset[str]:
        deadline = self._clock.monotonic() + patience
        while True:
            try:
                return await find_missing_rights(self._query, nodes, inventory=self._inventory)
            except Unreachable as error:
                if self._clock.monotonic() >= deadline:
                    raise
                logger.warning("user=%s rights cannot be checked: %s; trying again", self._query.user, error)
            await self._clock.sleep(PAUSE)

    def _refusal(self, node: str) -> RightMissing:
        return RightMissing(self._query.user, [node], to=self._query.to)

    def _failure(self, node: str) -> Failure:
        asked = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self._clock.now()))
        where = self._query.partitions.get(node) or "any partition"
        text = f"{self._query.user} has no right on {where} any more, as asked at {asked}"
        return Failure(reason=FailureReason.NO_RIGHT, description=text, retriable=False)
