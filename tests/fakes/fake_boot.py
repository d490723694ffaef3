"""A bootctl that keeps entries and files in memory, or breaks."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.engine.fence import pass_fence
from kadeploy_deployer.ports import BootError, BootHypervisor, BootNetworkKernel, BootTarget, BootUnreachable


class FakeBoot:
    """Keeps what each node boots next (`entries`), who asked (`owners`) and the files (`files`: digest to description).

    `refused`: sentences by node, given back for those nodes. `broken`: a sentence raised by every call. `away`: asked
    at every call; while it says true, nobody answers.
    """

    def __init__(self) -> None:
        self.entries: dict[str, BootTarget] = {}
        self.owners: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.broken = ""
        self.away: Callable[[], bool] = lambda: False

    async def set_entries(
        self, targets: Mapping[str, BootTarget], nodes: Mapping[str, NodeSnapshot], *, owner: str
    ) -> Mapping[str, str]:
        """As in the port."""
        await pass_fence()
        self._check()
        problems = {name: problem for name in targets if (problem := self._problem(name, targets[name]))}
        for name, target in targets.items():
            if name not in problems:
                self.entries[name], self.owners[name] = target, owner
        return problems

    async def render_entries(
        self, targets: Mapping[str, BootTarget], nodes: Mapping[str, NodeSnapshot], *, owner: str
    ) -> Mapping[str, Sequence[tuple[str, str]]]:
        """As in the port."""
        self._check()
        return {name: [(f"pxelinux.cfg/{nodes[name].mac_address}", f"{target}\n")] for name, target in targets.items()}

    async def upload(self, path: Path, *, digest: str, description: str) -> None:
        """As in the port."""
        self._check()
        if _digest(path) != digest:
            raise BootError(f"{description} cannot be uploaded: its content does not have the digest {digest}")
        self.files[digest] = description

    def _check(self) -> None:
        if self.away():
            raise BootUnreachable("bootctl does not answer on 192.0.2.3:7403")
        if self.broken:
            raise BootError(self.broken)

    def _problem(self, name: str, target: BootTarget) -> str:
        if name in self.refused:
            return self.refused[name]
        if isinstance(target, BootNetworkKernel | BootHypervisor):
            hypervisor = target.hypervisor_digest if isinstance(target, BootHypervisor) else ""
            wanted = (hypervisor, target.kernel_digest, target.initrd_digest)
            missing = [digest for digest in wanted if digest and digest not in self.files]
            if missing:
                return f"bootctl has no file {missing[0]}"
        return ""


def _digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
