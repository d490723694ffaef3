"""What the deployer tells a node on standard input: the document, from whom to receive, and the end."""

import json
import os
import select
import time

from .failure import Failed
from .wire import Place, read_place

VERSION = 2

# What a sink may be asked for, and the program that each compression takes.
KINDS = frozenset({"tar", "dd"})
METHODS = frozenset({"chain", "http"})
DECOMPRESSORS = {
    "none": (),
    "gzip": ("gzip", "-dc"),
    "bzip2": ("bzip2", "-dc"),
    "xz": ("xz", "-dc", "--no-sparse"),
    "zstd": ("zstd", "-dcq", "--no-sparse", "--long=31"),
}
DOCUMENT_LIMIT = 1 << 20
HASH_BYTES = 32
PAGE = 4096


class Bounds:
    """How long things may take, in seconds."""

    def __init__(self, bounds: dict[str, float]) -> None:
        self.session = float(bounds["session"])
        self.ask = float(bounds["ask"])
        self.leave = float(bounds["leave"])
        self.hold = float(bounds["hold"])
        self.give_up = float(bounds["give_up"])


class Document:
    """The first line of standard input.

    The stream that the nodes pass on is the manifest, filled up to whole pages, and then the file. The manifest is the
    BLAKE3 of every block; `manifest_digest` is the BLAKE3 of the filled manifest.
    """

    def __init__(self, text: bytes) -> None:
        document = json.loads(text)
        if document["version"] != VERSION:
            raise ValueError(
                f"the deployer speaks version {document['version']} of the broadcast and this deployment environment "
                f"version {VERSION}: build the deployment environment of the deployer's release"
            )
        file, sink = document["file"], document["sink"]
        self.token: str = document["token"]
        self.name: str = document["name"]
        self.method: str = document["method"]
        self.address: str = document["listen"]["address"]
        self.port: int = document["listen"]["port"]
        self.run_directory: str = document["run_directory"]
        self.size: int = file["size"]
        self.block_size: int = file["block_size"]
        self.manifest_digest: bytes = bytes.fromhex(file["manifest"])
        self.kind: str = sink["kind"]
        self.compression: str = sink["compression"]
        self.target: str = sink["target"]
        self.memory_share: float = document["memory_share"]
        self.bounds = Bounds(document["bounds"])
        if len(self.token.split()) != 1 or len(self.name.split()) != 1:
            raise ValueError("token and name must be one word each")
        if self.kind not in KINDS or self.compression not in DECOMPRESSORS:
            raise ValueError(f"a sink of kind {self.kind} with compression {self.compression} is not known here")
        if self.method not in METHODS:
            raise ValueError(f"the method {self.method} is not known here")
        if self.size < 0 or self.block_size < 1:
            raise ValueError("the file has no size")
        self.blocks: int = -(-self.size // self.block_size)
        self.manifest_size: int = -(-self.blocks * HASH_BYTES // PAGE) * PAGE
        self.total = self.manifest_size + self.size


class Part:
    """The second line: this node's part in the broadcast.

    `chain`: its number. `quantum`: how many bytes are gathered before they are passed on.
    """

    def __init__(self, text: bytes) -> None:
        part = json.loads(text)
        self.chain = int(part["chain"])
        self.quantum = int(part["quantum"])
        self.upstreams: list[Place] = [read_place(place) for place in part["upstreams"]]
        self.source = read_place(part["source"])
        self.source.source = True


class Control:
    """Standard input, line by line. `ended`: the deployer closed it."""

    def __init__(self) -> None:
        self.ended = False
        self._rest = b""

    def first_line(self, seconds: float) -> bytes:
        """Returns the first line; raises Failed when it does not come in time or at all."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._rest:
            ready, _, _ = select.select([0], [], [], max(0.0, deadline - time.monotonic()))
            if not ready or len(self._rest) > DOCUMENT_LIMIT:
                raise Failed("no complete instruction came on standard input")
            self._receive()
            if self.ended:
                raise Failed("standard input ended before the first instruction")
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def lines(self) -> list[bytes]:
        """Returns the lines that came and were not returned yet."""
        *lines, self._rest = self._rest.split(b"\n")
        return lines

    def read(self) -> list[bytes]:
        """Returns the lines that come, when standard input can be read."""
        self._receive()
        return self.lines()

    def _receive(self) -> None:
        chunk = os.read(0, 1 << 16)
        self.ended = not chunk
        self._rest += chunk
