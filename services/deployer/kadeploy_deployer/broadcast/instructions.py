"""The two lines that a node's program reads: what to receive, and its part in the broadcast.

Pure; the format is in docs/broadcast.md.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from kadeploy_deployer.broadcast.manifest import Manifest
from kadeploy_deployer.ports import BroadcastTarget

VERSION = 2
SOURCE_NAME = "the deployer"
CHAIN, HTTP = "chain", "http"

SMALLEST_QUANTUM, LARGE_QUANTUM, LARGEST_QUANTUM = 4 << 10, 64 << 10, 256 << 10
SHORT_CHAIN_BYTES = 512 << 10
"""What all nodes of a short chain together may gather when each gathers more than LARGE_QUANTUM."""
QUANTUM_SHARE = 60
"""All nodes of a chain together gather at most this part of the file before they pass it on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSettings:
    """How broadcasts are done; times in seconds.

    Attributes:
        program: what is run on the nodes.
        method: CHAIN, or HTTP: every node fetches from the deployer, and none listens.
        source_address: where the deployer listens for nodes; "" for everywhere.
        source_port: its port; 0 for any that is free.
        node_port: where nodes listen for the node behind them.
        chains: how many chains there are; 0: as many as the deployer's link has of the nodes' links, where it matters.
        run_directory: where a node notes its session, so that the next one can end it.
        predecessors: how many nodes before it a node is named at first; it learns of others from these.
        memory_share: the part of its free memory that a node may use for the file, from 0 to 1.
        gather_bound: how long nodes that are ready wait for others, to be ordered by address with them.
        start_bound: for the program to be ready on a node.
        silence_bound: how long a node's program may say nothing; it speaks once a second.
        evidence_bound: the same, for a node that others say is silent.
        ask_bound: after which silence a node asks its upstream again; it speaks five times a second.
        leave_bound: after which silence a node receives from another.
        hold_bound: how long a node with little memory may be held up by the node behind it, a tenth of the time aside.
        stall_bound: how long the deployer may be silent to a node that fetches by HTTP.
        give_up_bound: how long a node tries when nobody gives it anything.
        farewell_bound: for the program to end when it is no longer needed.
    """

    program: tuple[str, ...] = ("/usr/bin/kabroadcast",)
    method: str = CHAIN
    source_address: str = "0.0.0.0"
    source_port: int = 0
    node_port: int = 7301
    chains: int = 0
    run_directory: str = "/run"
    predecessors: int = 3
    memory_share: float = 0.5
    gather_bound: float = 0.5
    start_bound: float = 60.0
    silence_bound: float = 30.0
    evidence_bound: float = 5.0
    ask_bound: float = 0.25
    leave_bound: float = 0.4
    hold_bound: float = 15.0
    stall_bound: float = 15.0
    give_up_bound: float = 60.0
    farewell_bound: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where bytes of the file can be had."""

    name: str
    address: str
    port: int


def what_to_receive(
    target: BroadcastTarget, manifest: Manifest, *, token: str, session_bound: float, settings: ChainSettings
) -> bytes:
    """Returns the first line."""
    patient = settings.method == HTTP
    return _line(
        {
            "version": VERSION,
            "token": token,
            "name": target.host.name,
            "method": settings.method,
            "listen": {"address": target.host.address, "port": settings.node_port},
            "run_directory": settings.run_directory,
            "file": {"size": manifest.size, "block_size": manifest.block_size, "manifest": manifest.content_digest},
            "sink": {
                "kind": target.sink.kind,
                "compression": target.sink.compression,
                "target": target.sink.target,
            },
            "memory_share": settings.memory_share,
            "bounds": {
                "session": session_bound,
                # By HTTP there is no way to ask for a sign of life.
                "ask": settings.stall_bound / 2 if patient else settings.ask_bound,
                "leave": settings.stall_bound if patient else settings.leave_bound,
                "hold": settings.hold_bound,
                "give_up": settings.give_up_bound,
            },
        }
    )


def which_part(before: Sequence[Place], source: Place, *, chain: int, quantum: int, predecessors: int) -> bytes:
    """Returns the second line.

    Args:
        before: the nodes before this one, in the order of the chain.
        source: the deployer, as this node can reach it.
        chain: the number of the chain.
        quantum: how many bytes the node gathers before it passes them on.
        predecessors: how many of the nodes before it are named, the nearest first.
    """
    nearest = list(reversed(before))[:predecessors]
    return _line(
        {
            "chain": chain,
            "quantum": quantum,
            "upstreams": [_place(place) for place in nearest],
            "source": _place(source),
        }
    )


def quantum_for(size: int, nodes: int) -> int:
    """Returns how many bytes each of so many nodes gathers before it passes them on.

    What a node gathers delays every node behind it. Few bytes cost a node many turns of its loop.
    """
    share = size // (QUANTUM_SHARE * max(1, nodes))
    quantum = min(LARGEST_QUANTUM, max(LARGE_QUANTUM, SHORT_CHAIN_BYTES // max(1, nodes)))
    while quantum > SMALLEST_QUANTUM and quantum > share:
        quantum //= 2
    return quantum


def _place(place: Place) -> dict[str, object]:
    return {"name": place.name, "address": place.address, "port": place.port}


def _line(content: dict[str, object]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"
