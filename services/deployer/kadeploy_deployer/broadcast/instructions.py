"""The two lines that a node's program reads: what to receive, and from whom.

Pure; the format is in docs/broadcast.md.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from kadeploy_deployer.broadcast.manifest import Manifest
from kadeploy_deployer.ports import BroadcastTarget

SOURCE_NAME = "the deployer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSettings:
    """How broadcasts are done; times in seconds.

    Attributes:
        program: what is run on the nodes.
        source_address: where the deployer listens for nodes; "" for everywhere.
        source_port: its port; 0 for any that is free.
        node_port: where nodes listen for the nodes behind them.
        run_directory: where a node notes its session, so that the next one can end it.
        predecessors: how many nodes before it a node asks before it asks the deployer.
        ring_bytes: how much of the file a node keeps in memory at most; a node with little memory keeps less.
        start_bound: for the program to be ready on a node.
        silence_bound: how long a node's program may say nothing; it speaks once a second.
        connect_bound: for a connection between two nodes.
        stall_bound: how long an upstream may be silent; it speaks once a second.
        hold_bound: how long a node that is slower than the others may hold them up, a tenth of the time aside.
        give_up_bound: how long a node tries when nobody gives it the next block.
        farewell_bound: for the program to end when it is no longer needed.
    """

    program: tuple[str, ...] = ("/usr/bin/kabroadcast",)
    source_address: str = "0.0.0.0"
    source_port: int = 0
    node_port: int = 7301
    run_directory: str = "/run"
    predecessors: int = 3
    ring_bytes: int = 32 << 20
    start_bound: float = 60.0
    silence_bound: float = 30.0
    connect_bound: float = 5.0
    stall_bound: float = 15.0
    hold_bound: float = 15.0
    give_up_bound: float = 60.0
    farewell_bound: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where blocks can be had."""

    name: str
    address: str
    port: int


def what_to_receive(
    target: BroadcastTarget, manifest: Manifest, *, token: str, session_bound: float, settings: ChainSettings
) -> bytes:
    """Returns the first line."""
    return _line(
        {
            "version": 1,
            "token": token,
            "name": target.host.name,
            "listen": {"address": target.host.address, "port": settings.node_port},
            "run_directory": settings.run_directory,
            "file": {
                "size": manifest.size,
                "block_size": manifest.block_size,
                "blocks": [block.hex() for block in manifest.blocks],
                "sha256": manifest.sha256,
            },
            "sink": {
                "kind": target.sink.kind,
                "compression": target.sink.compression,
                "target": target.sink.target,
            },
            "ring_bytes": settings.ring_bytes,
            "bounds": {
                "session": session_bound,
                "connect": settings.connect_bound,
                "stall": settings.stall_bound,
                "hold": settings.hold_bound,
                "give_up": settings.give_up_bound,
            },
        }
    )


def whom_to_ask(before: Sequence[Place], source: Place, *, predecessors: int) -> bytes:
    """Returns the second line.

    Args:
        before: the nodes before this one, in the order of the chain.
        source: the deployer, as this node can reach it.
        predecessors: how many of them are named, the nearest first.
    """
    nearest = list(reversed(before))[:predecessors]
    return _line({"upstreams": [_place(place) for place in nearest], "source": _place(source)})


def _place(place: Place) -> dict[str, object]:
    return {"name": place.name, "address": place.address, "port": place.port}


def _line(content: dict[str, object]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"
