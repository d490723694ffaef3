"""A client that goes on calling, at a steady pace, while others attack, and notes how it went."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from kadeploy.bootctl.v1 import bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc
from kadeploy.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc
from kadeploy_edge.status import from_rpc_error
from tests.tls_site import TlsSite

PAUSE_SECONDS = 0.02
PATIENCE_SECONDS = 5.0


class WellBehavedClient:
    """Calls one service again and again.

    Attributes:
        seconds: how long each call took.
        failures: how often each reason, or code, was given instead of the right answer.
    """

    def __init__(self, call: Callable[[], None], pause: float) -> None:
        self.seconds: list[float] = []
        self.failures: Counter[str] = Counter()
        self._call = call
        self._pause = pause
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="client", daemon=True)

    def begin(self) -> None:
        """Calls from now on."""
        self._thread.start()

    def end(self) -> None:
        """Calls no more."""
        self._ended.set()
        self._thread.join(PATIENCE_SECONDS * 2)

    def _go_on(self) -> None:
        while not self._ended.wait(self._pause):
            begin = time.perf_counter()
            try:
                self._call()
            except grpc.RpcError as error:
                remote = from_rpc_error(error)
                self.failures[remote.reason or remote.code.name] += 1
            except AssertionError as error:
                self.failures[f"wrong answer: {error}"] += 1
            self.seconds.append(time.perf_counter() - begin)


@contextmanager
def well_behaved_client(site: TlsSite, service: str, *, pause: float = PAUSE_SECONDS) -> Iterator[WellBehavedClient]:
    """Gives a client that calls until the end of the block: alice, with bootctl an administrator."""
    with site.channel(service, "ruth" if service == "bootctl" else "alice") as channel:
        made = WellBehavedClient(_calls(channel)[service], pause)
        # The first call connects, and the certificate is looked at; what comes then is the ordinary.
        made._call()
        made.begin()
        try:
            yield made
        finally:
            made.end()


def _calls(channel: grpc.Channel) -> dict[str, Callable[[], None]]:
    nodes = inventory_service_pb2_grpc.NodeServiceStub(channel)
    deployments = deployer_service_pb2_grpc.DeploymentServiceStub(channel)
    tree = bootctl_service_pb2_grpc.TreeServiceStub(channel)

    def ask_inventory() -> None:
        answer = nodes.GetNode(inventory_service_pb2.GetNodeRequest(name="node-1"), timeout=PATIENCE_SECONDS)
        assert answer.name == "node-1", answer

    def ask_deployer() -> None:
        request = deployer_service_pb2.ListDeploymentsRequest(page_size=1)
        answer: Any = deployments.ListDeployments(request, timeout=PATIENCE_SECONDS)
        assert not answer.deployments, answer

    def ask_bootctl() -> None:
        answer = tree.ListLabels(bootctl_service_pb2.ListLabelsRequest(), timeout=PATIENCE_SECONDS)
        assert [label.name for label in answer.labels] == ["deploy"], answer

    return {"inventory": ask_inventory, "deployer": ask_deployer, "bootctl": ask_bootctl}
