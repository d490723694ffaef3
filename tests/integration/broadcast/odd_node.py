"""The nodes' program, but one that is weak, or lies: the first argument says how."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[3] / "deployenv"))

from kabroadcast import downstream, proof, receiver, server, session, wire

SLOW_BYTES = 600_000
GOOD_BYTES = 600_000


def small() -> None:
    """Has so little memory that it keeps four blocks."""
    session.available_memory = lambda: 0  # type: ignore[attr-defined]


def spoils() -> None:
    """Passes on other bytes than it received, after the first: bad memory, or a bad mind."""

    def sendfile(out: int, file: int, offset: int, count: int) -> int:
        content = bytearray(os.pread(file, count, offset))
        if offset > GOOD_BYTES:
            content[len(content) // 2] ^= 1
        return os.write(out, content)

    vars(downstream)["os"] = SimpleNamespace(sendfile=sendfile)


def lies_about_its_digest() -> None:
    """Says that it received something else than it did."""

    def digest(self: proof.Proof) -> str:  # noqa: ARG001
        return "0" * 64

    proof.Proof.digest = digest  # type: ignore[method-assign]


def boasts() -> None:
    """Says that it has everything, and gives nothing."""

    def live(self: downstream.Downstream) -> None:
        store = self._store
        self.say(wire.frame(wire.HEARTBEAT, position=store.total))

    def wants(self: server.Server, down: downstream.Downstream, wanted: dict[str, object]) -> None:  # noqa: ARG001
        down.say(wire.frame(wire.ANCESTORS, b"[]", position=self._store.total))

    downstream.Downstream._live = live  # type: ignore[method-assign]
    server.Server.wants = wants  # type: ignore[method-assign]


def gated() -> None:
    """Takes no more bytes than the file beside this run says."""
    room = receiver.Receiver.room
    gate = Path(sys.argv[2])

    def gated_room(self: receiver.Receiver) -> int:
        return max(0, min(room(self), int(gate.read_text()) - self.position()))

    receiver.Receiver.room = gated_room  # type: ignore[method-assign]


def slow() -> None:
    """Takes few bytes a second, whatever the reason."""
    room = receiver.Receiver.room
    started: list[float] = []

    def little_room(self: receiver.Receiver) -> int:
        started.append(time.monotonic())
        earned = int((started[-1] - started[0]) * SLOW_BYTES) - self.position()
        del started[1:]
        return max(0, min(room(self), earned))

    receiver.Receiver.room = little_room  # type: ignore[method-assign]


KINDS: dict[str, Callable[[], None]] = {
    "small": small,
    "spoils": spoils,
    "lies": lies_about_its_digest,
    "boasts": boasts,
    "slow": slow,
    "gated": gated,
}


def program(kind: str, *more: str) -> tuple[str, ...]:
    """Returns what runs such a node."""
    return (sys.executable, __file__, kind, *more)


if __name__ == "__main__":
    KINDS[sys.argv[1]]()
    sys.exit(session.main())
