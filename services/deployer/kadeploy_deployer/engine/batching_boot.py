"""Boot entries of many nodes in few calls, and each boot file uploaded once, for the nodes of one deployment."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.engine.shared_calls import SharedCalls
from kadeploy_deployer.engine.write_batcher import WriteBatcher
from kadeploy_deployer.ports import Boot, BootTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """What one caller wants of one node. `problem`: set when it is written, or known that it cannot be."""

    node: str
    target: BootTarget
    machine: NodeSnapshot
    problem: asyncio.Future[str]


class BatchingBoot(Boot):
    """Implements `ports.Boot` by another one.

    What is asked for while a call is under way goes out together with the next. It is for one deployment alone: the
    call is made behind the fence of whoever asked first, which is the fence of all its nodes.
    """

    def __init__(self, boot: Boot) -> None:
        self._boot = boot
        self._batchers: dict[str, WriteBatcher[_Entry]] = {}
        self._uploads: SharedCalls[str, None] = SharedCalls()

    @override
    async def set_entries(
        self, targets: Mapping[str, BootTarget], nodes: Mapping[str, NodeSnapshot], *, owner: str
    ) -> Mapping[str, str]:
        loop = asyncio.get_running_loop()
        entries = [
            _Entry(node=node, target=target, machine=nodes[node], problem=loop.create_future())
            for node, target in targets.items()
        ]
        batcher = self._batchers.get(owner)
        if batcher is None:
            batcher = self._batchers[owner] = WriteBatcher(lambda batch: self._write(batch, owner))
        await asyncio.gather(*(batcher.add(entry) for entry in entries))
        return {entry.node: entry.problem.result() for entry in entries if entry.problem.result()}

    @override
    async def render_entries(
        self, targets: Mapping[str, BootTarget], nodes: Mapping[str, NodeSnapshot], *, owner: str
    ) -> Mapping[str, Sequence[tuple[str, str]]]:
        return await self._boot.render_entries(targets, nodes, owner=owner)

    @override
    async def upload(self, path: Path, *, digest: str, description: str) -> None:
        await self._uploads.get(digest, lambda: self._boot.upload(path, digest=digest, description=description))

    async def _write(self, entries: Sequence[_Entry], owner: str) -> None:
        # Of two entries of one node the later counts: whoever waits for the earlier has gone.
        latest = {entry.node: entry for entry in entries}
        targets = {node: entry.target for node, entry in latest.items()}
        machines = {node: entry.machine for node, entry in latest.items()}
        problems = await self._boot.set_entries(targets, machines, owner=owner)
        if problems:
            # A file may be missing that was there: it is uploaded again before the next try.
            self._uploads.forget()
        for entry in entries:
            entry.problem.set_result(problems.get(entry.node, ""))
