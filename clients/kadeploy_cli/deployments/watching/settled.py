"""What a command does about nodes as they end, one by one: files that name them, and an end of its waiting."""

from collections.abc import Callable
from pathlib import Path

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy_cli.deployments.watching.progress import DeploymentProgress
from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_cli.wait_for import WaitFor

DEPLOYED = deployment_pb2.PARTITION_STATE_DEPLOYED


class Enough(Exception):
    """As many nodes are deployed as somebody waits for."""

    def __init__(self, deployed: int) -> None:
        super().__init__(f"{deployed} nodes are deployed")
        self.deployed = deployed


class Settled:
    """Sees every change of a deployment.

    Args:
        good_file: gets the name of each node when it is deployed.
        bad_file: gets the name of each node when it has failed.
        wait_for: how many have to be deployed; None: until the deployment ends.
        asked: how many nodes were asked for.
    """

    def __init__(self, *, good_file: str | None, bad_file: str | None, wait_for: WaitFor | None, asked: int) -> None:
        self._known: set[str] = set()
        self._good = 0
        self._needed = None if wait_for is None else wait_for.needed(asked)
        self._files = (good_file, bad_file)
        for name in self._files:
            _write(name, lambda path: path.write_text("", encoding="utf-8"))

    def see(self, progress: DeploymentProgress) -> None:
        """Looks at what is true now. Raises Enough."""
        for view in progress.nodes.values():
            if view.settled and view.name not in self._known:
                self._known.add(view.name)
                is_good = view.state == DEPLOYED
                self._good += is_good
                _append(self._files[0] if is_good else self._files[1], view.name)
        if self._needed is not None and self._good >= self._needed and not progress.finished:
            raise Enough(self._good)


def _append(name: str | None, node: str) -> None:
    def append(path: Path) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{node}\n")

    _write(name, append)


def _write(name: str | None, write: Callable[[Path], object]) -> None:
    if name is None:
        return
    try:
        write(Path(name))
    except OSError as error:
        raise UsageFailure(f"{name} cannot be written: {error.strerror}") from None
