"""What goes wrong while the file is on its way."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.broadcast.methods import Transfer

AT = 0.4
"""The part of the ideal time after which most things happen."""
SLOWER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault.

    Attributes:
        die: hosts that die, by the part of the ideal time at which they do. The hosts are parts of their number.
        silent: whether the others hear nothing of that: the cable is pulled out; else the processes are killed.
        down: a host whose link is down for some seconds.
        slow: a host whose link is slower in both directions; `slow_disk`: whose disk is.
        late: a host that comes late.
        deployer_rate: the part of its rate that the deployer's link has.
    """

    die: Mapping[float, float] = field(default_factory=dict)
    silent: bool = False
    neighbours: int = 1
    down: float = 0.0
    down_seconds: float = 3.0
    slow: float = 0.0
    slow_disk: float = 0.0
    late: float = 0.0
    deployer_rate: float = 1.0


FAULTS: Mapping[str, Fault] = {
    "none": Fault(),
    "one silent death": Fault(die={0.5: AT}, silent=True),
    "one process killed": Fault(die={0.5: AT}),
    "three silent deaths": Fault(die={0.25: 0.3, 0.5: 0.45, 0.75: 0.6}, silent=True),
    "one node 4x slower": Fault(slow=0.5),
    "the first node 4x slower": Fault(slow=0.01),
    "a node joins at 40 %": Fault(late=1.0),
    "first node dies": Fault(die={0.0: AT}, silent=True),
    "last node dies": Fault(die={1.0: AT}, silent=True),
    "two neighbours die": Fault(die={0.5: AT}, neighbours=2, silent=True),
    "a link down for 3 s": Fault(down=0.5),
    "a slow disk": Fault(slow_disk=0.5),
    "the deployer at half rate": Fault(deployer_rate=0.5),
}


def host_of(part: float, nodes: int) -> int:
    """Returns the host at a part of the chain."""
    return max(1, min(nodes, round(part * nodes)))


class Injection:
    """A fault that happens to a transfer. `living`: the hosts that are to receive the file and live still."""

    def __init__(self, fault: Fault, transfer: Transfer, ideal: float) -> None:
        self._fault = fault
        self._transfer = transfer
        self._ideal = ideal
        self.dead: set[int] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def dying(self) -> set[int]:
        """Returns the hosts that are dead at the end."""
        nodes = self._transfer.site.nodes
        first = [host_of(part, nodes) for part in self._fault.die]
        return {host + number for host in first for number in range(self._fault.neighbours)}

    def living(self) -> set[int]:
        """Returns the hosts that are to have everything."""
        return set(self._transfer.hosts) - self.dying()

    def begin(self) -> None:
        """Begins to wait for the transfer."""
        self._thread.start()

    def end(self) -> None:
        """Ends it."""
        self._ended.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._transfer.started.wait(0.05):
            if self._ended.is_set():
                return
        for moment, do in sorted(self._plan(), key=lambda each: each[0]):
            if self._ended.wait(max(0.0, self._transfer.begun + moment - time.monotonic())):
                return
            do()

    def _plan(self) -> Sequence[tuple[float, Callable[[], None]]]:
        site, fault = self._transfer.site, self._fault
        plan: list[tuple[float, Callable[[], None]]] = []
        for part, moment in fault.die.items():
            for number in range(fault.neighbours):
                host = host_of(part, site.nodes) + number
                plan.append((moment * self._ideal, lambda host=host: self._die(host)))  # type: ignore[misc]
        if fault.down:
            host = host_of(fault.down, site.nodes)
            plan.append((AT * self._ideal, lambda: site.set_link(host, up=False)))
            plan.append((AT * self._ideal + fault.down_seconds, lambda: site.set_link(host, up=True)))
        return plan

    def _die(self, host: int) -> None:
        self.dead.add(host)
        if self._fault.silent:
            self._transfer.site.set_link(host, up=False)
        else:
            self._transfer.site.kill(host)
