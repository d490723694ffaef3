"""A bootctl that keeps entries and files in memory, or breaks."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kadeploy_deployer.app.fence import pass_fence
from kadeploy_deployer.app.ports import BootError, BootHypervisor, BootNetworkKernel, BootUnreachable, BootWish
from kadeploy_deployer.domain.snapshot import NodeSnapshot


class FakeBoot:
    """Keeps what each node boots next (`entries`), who asked (`owners`) and the files (`files`: digest to description).

    `refused`: sentences by node, given back for those nodes. `broken`: a sentence raised by every call. `away`: asked
    at every call; while it says true, nobody answers.
    """

    def __init__(self) -> None:
        self.entries: dict[str, BootWish] = {}
        self.owners: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.broken = ""
        self.away: Callable[[], bool] = lambda: False

    async def set_entries(
        self, wishes: Mapping[str, BootWish], nodes: Mapping[str, NodeSnapshot], *, owner: str
    ) -> Mapping[str, str]:
        """As in the port."""
        await pass_fence()
        self._check()
        problems = {name: problem for name in wishes if (problem := self._problem(name, wishes[name]))}
        for name, wish in wishes.items():
            if name not in problems:
                self.entries[name], self.owners[name] = wish, owner
        return problems

    async def render_entries(
        self, wishes: Mapping[str, BootWish], nodes: Mapping[str, NodeSnapshot], *, owner: str
    ) -> Mapping[str, Sequence[tuple[str, str]]]:
        """As in the port."""
        self._check()
        return {name: [(f"pxelinux.cfg/{nodes[name].mac_address}", f"{wish}\n")] for name, wish in wishes.items()}

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

    def _problem(self, name: str, wish: BootWish) -> str:
        if name in self.refused:
            return self.refused[name]
        if isinstance(wish, BootNetworkKernel | BootHypervisor):
            hypervisor = wish.hypervisor_digest if isinstance(wish, BootHypervisor) else ""
            wanted = (hypervisor, wish.kernel_digest, wish.initrd_digest)
            missing = [digest for digest in wanted if digest and digest not in self.files]
            if missing:
                return f"bootctl has no file {missing[0]}"
        return ""


def _digest(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
