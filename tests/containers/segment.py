"""The network that nodes are on, in the engine's namespaces: an interface of the host, and a node at its other end.

The node is a namespace with an address. What it does are the programs below, run by this host's Python.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.containers.engine import Engine, EngineError

PARENT = "nodes0"
NODE_END = "node0"
NODE_ADDRESS = "192.0.2.10"
NETWORK_BITS = 24
START_SECONDS = 30.0
COMMAND_SECONDS = 180.0

# Prints its port, then the address that the first caller comes from.
ANSWER_ONCE = """
import socket, sys
with socket.create_server((sys.argv[1], 0)) as server:
    server.settimeout(120)
    print(server.getsockname()[1], flush=True)
    connection, caller = server.accept()
    connection.close()
    print(caller[0], flush=True)
"""
# Fetches the first block of a file by TFTP; prints the address that it comes from and its length.
FETCH_BLOCK = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.settimeout(5)
    for _ in range(6):
        client.sendto(b"\\0\\1" + sys.argv[2].encode() + b"\\0octet\\0", (sys.argv[1], 69))
        try:
            block, sender = client.recvfrom(1024)
        except TimeoutError:
            continue
        break
    print(sender[0], len(block) - 4 if block[:4] == b"\\0\\3\\0\\1" else block)
"""
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A namespace that stands for a node."""

    pid: int

    def argv(self, program: str, *arguments: str) -> list[str | Path]:
        """Returns the argument list that runs a Python program on the node."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", sys.executable, "-c", program, *arguments]

    def run(self, program: str, *arguments: str) -> str:
        """Runs a Python program on the node and returns what it printed; raises EngineError when it fails."""
        argv = self.argv(program, *arguments)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
        if done.returncode != 0:
            raise EngineError(f"on the node: {done.stderr.strip()}")
        return done.stdout.strip()


@contextmanager
def node_on_segment(engine: Engine) -> Iterator[Node]:
    """Yields a node; the engine's host has the interface PARENT to its network, without an address."""
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--", "sleep", "infinity"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            _wait_for_namespace(process)
            node = Node(pid=process.pid)

            def on_host(*words: str) -> None:
                engine.run(engine.inside(["ip", *words]), timeout=COMMAND_SECONDS)

            def on_node(*words: str) -> None:
                namespace = f"--net=/proc/{node.pid}/ns/net"
                engine.run(["nsenter", namespace, "--", "ip", *words], timeout=COMMAND_SECONDS)

            on_host("link", "add", PARENT, "type", "veth", "peer", "name", NODE_END, "netns", str(node.pid))
            on_host("link", "set", PARENT, "up")
            on_node("link", "set", "lo", "up")
            on_node("address", "add", f"{NODE_ADDRESS}/{NETWORK_BITS}", "dev", NODE_END)
            on_node("link", "set", NODE_END, "up")
            yield node
        finally:
            # Its end of the wire goes with the namespace, and the host's end with that.
            process.kill()


def _wait_for_namespace(process: "subprocess.Popen[bytes]") -> None:
    own, deadline = Path("/proc/self/ns/net").readlink(), time.monotonic() + START_SECONDS
    while Path(f"/proc/{process.pid}/ns/net").readlink() == own:
        if process.poll() is not None or time.monotonic() > deadline:
            raise EngineError("the node's namespace could not be made")
        time.sleep(0.02)
