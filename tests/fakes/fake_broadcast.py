"""A broadcast that arrives everywhere at once, but where the test says otherwise."""

from collections.abc import Callable, Mapping, Sequence

from kadeploy_deployer.domain.outcome import Failure
from kadeploy_deployer.ports import BroadcastTarget, OpenedFile, Received


class FakeBroadcast:
    """Tells every target the digest it asked for; `failures` by node are given instead."""

    def __init__(self) -> None:
        self.failures: dict[str, Failure] = {}
        self.sent: list[tuple[str, str, tuple[BroadcastTarget, ...]]] = []

    async def send(
        self,
        file: OpenedFile,
        *,
        digest: str,
        user: str,
        targets: Sequence[BroadcastTarget],
        timeout: float,
        on_progress: Callable[[str, int, int], None],
    ) -> Mapping[str, Received]:
        """As in the port."""
        self.sent.append((file.name, digest, tuple(targets)))
        size = file.size()
        received = {}
        for target in targets:
            name = target.host.name
            failure = self.failures.get(name)
            on_progress(name, 0 if failure else size, size)
            received[name] = Received(
                outcome=failure, digest="" if failure else digest, received_bytes=0 if failure else size
            )
        return received
