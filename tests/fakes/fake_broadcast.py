"""A broadcast that arrives everywhere at once, but where the test says otherwise."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.ports import BroadcastTarget, Received


class FakeBroadcast:
    """Tells every target the digest it asked for; `failures` by node are given instead."""

    def __init__(self) -> None:
        self.failures: dict[str, Failure] = {}
        self.sent: list[tuple[Path, str, tuple[BroadcastTarget, ...]]] = []

    async def send(
        self,
        path: Path,
        *,
        digest: str,
        targets: Sequence[BroadcastTarget],
        timeout: float,
        on_progress: Callable[[str, int, int], None],
    ) -> Mapping[str, Received]:
        """As in the port."""
        self.sent.append((path, digest, tuple(targets)))
        size = _size(path)
        received = {}
        for target in targets:
            name = target.host.name
            failure = self.failures.get(name)
            on_progress(name, 0 if failure else size, size)
            received[name] = Received(
                outcome=failure, digest="" if failure else digest, received_bytes=0 if failure else size
            )
        return received


def _size(path: Path) -> int:
    return path.stat().st_size
