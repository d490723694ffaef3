"""What a chain would take with more nodes than a machine can hold: `python -m tests.bench.broadcast.simulation`.

Every hop is a link, which takes quantum after quantum at a constant rate, and a node's processor, which takes a random
time for a turn of its loop and passes on all that came meanwhile. Nodes stand in racks, whose uplinks are narrower than
the links of their nodes together. All times are in seconds, rates in bytes a second.
"""

import random
import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from kadeploy_deployer.broadcast.chains import chains_for
from kadeploy_deployer.broadcast.instructions import quantum_for
from tests.bench.machine import table

GIGABIT = 1e9 / 8
PAYLOAD = 1448 / 1514
"""The part of a link that TCP leaves to the file."""
PROCESSOR_SECONDS = 0.0002
"""Of a node for one turn, in the mean; the times are spread exponentially."""
RACK, UPLINK = 40, 4 * GIGABIT
QUANTA = 200
"""How many quanta are followed through the chain; afterwards its lag no longer grows."""
SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A broadcast. `groups`: in how many groups the nodes became ready; 0: in no order at all."""

    nodes: int
    size: int
    source_mbits: int
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What comes out. `flows`: how many streams cross the busiest uplink of a rack, in one direction."""

    chains: int
    quantum: int
    start_up: float
    flows: int
    transfer: float

    @property
    def ratio(self) -> float:
        """The time of the last node, by that of a single one."""
        return (self.start_up + self.transfer) / self.transfer_of_one

    transfer_of_one: float


def forecast(case: Case) -> Forecast:
    """Returns what a broadcast would take."""
    chains = chains_for(case.size, nodes=case.nodes, node_mbits=1000, source_mbits=case.source_mbits)
    length = -(-case.nodes // chains)
    quantum = quantum_for(case.size, length)
    flows = busiest_uplink(order(case), chains)
    rate = PAYLOAD * min(GIGABIT, case.source_mbits * 1e6 / 8 / chains, UPLINK / max(1, flows))
    return Forecast(
        chains=chains,
        quantum=quantum,
        start_up=lag(length, quantum / rate),
        flows=flows,
        transfer=case.size / rate,
        transfer_of_one=case.size / (PAYLOAD * GIGABIT),
    )


def lag(length: int, link_seconds: float) -> float:
    """Returns how much later than the first the last of so many nodes has a quantum, once the chain flows."""
    chance = random.Random(SEED)  # noqa: S311 - a simulation
    arrivals = [number * link_seconds for number in range(QUANTA)]
    first_last = arrivals[-1]
    for _ in range(length):
        link = 0.0
        arrivals = [link := max(arrival, link) + link_seconds for arrival in arrivals]
        arrivals = processed(arrivals, chance)
    return arrivals[-1] - first_last


def processed(arrivals: Sequence[float], chance: random.Random) -> list[float]:
    """Returns when a node passes on what arrives: at each turn of its loop it takes all that is there."""
    leaving: list[float] = []
    now = 0.0
    while len(leaving) < len(arrivals):
        now = max(now, arrivals[len(leaving)])
        there = bisect_right(arrivals, now) - len(leaving)
        now += chance.expovariate(1 / PROCESSOR_SECONDS)
        leaving += [now] * there
    return leaving


def order(case: Case) -> list[int]:
    """Returns the nodes in the order of the chain, by their addresses; those of a rack have neighbouring ones."""
    nodes = list(range(case.nodes))
    chance = random.Random(SEED)  # noqa: S311 - a simulation
    chance.shuffle(nodes)
    if not case.groups:
        return nodes
    length = -(-case.nodes // case.groups)
    groups = [nodes[start : start + length] for start in range(0, case.nodes, length)]
    return [node for group in groups for node in sorted(group)]


def busiest_uplink(nodes: Sequence[int], chains: int) -> int:
    """Returns how many streams enter the rack that most enter."""
    length = -(-len(nodes) // chains)
    entering: dict[int, int] = {}
    for start in range(0, len(nodes), length):
        before = -1
        for node in nodes[start : start + length]:
            rack = node // RACK
            if rack != before:
                entering[rack] = entering.get(rack, 0) + 1
            before = rack
    return max(entering.values())


def main() -> None:
    """Prints the table of docs/performance.md."""
    rows = []
    for nodes in (300, 1_000, 10_000):
        for source_mbits, groups in ((1_000, 1), (10_000, 1), (1_000, 4), (1_000, 0)):
            case = Case(nodes=nodes, size=1 << 30, source_mbits=source_mbits, groups=groups)
            found = forecast(case)
            rows.append(
                [
                    f"{nodes:,}",
                    f"{source_mbits // 1000} Gbit/s",
                    {0: "at random", 1: "by address"}.get(groups, f"by address in {groups} groups"),
                    str(found.chains),
                    f"{found.quantum >> 10} KiB",
                    f"{found.start_up:.2f} s",
                    str(found.flows),
                    f"{found.start_up + found.transfer:.1f} s",
                    f"{found.ratio:.2f}",
                ]
            )
    head = ["nodes", "deployer", "order", "chains", "quantum", "start-up", "streams per uplink", "last node", "ratio"]
    sys.stdout.write(table(head, rows))


if __name__ == "__main__":
    main()
