"""What the deployer tells a node on standard input: the document, from whom to receive, and the end."""

import json
import os
import select
import time

from .failure import Failed

# What a sink may be asked for, and the program that each compression takes.
KINDS = frozenset({"tar", "dd"})
DECOMPRESSORS = {
    "none": (),
    "gzip": ("gzip", "-dc"),
    "bzip2": ("bzip2", "-dc"),
    "xz": ("xz", "-dc", "--no-sparse"),
    "zstd": ("zstd", "-dcq", "--no-sparse"),
}
DOCUMENT_LIMIT = 64 << 20


class Upstream:
    """Someone who may have the blocks."""

    def __init__(self, name: str, address: str, port: int, *, source: bool = False) -> None:
        self.name = name
        self.address = address
        self.port = port
        self.source = source
        self.blocks = 0


class Document:
    """The first line of standard input."""

    def __init__(self, text: bytes) -> None:
        document = json.loads(text)
        if document["version"] != 1:
            raise ValueError(f"version {document['version']} is not known here")
        file, sink, bounds = document["file"], document["sink"], document["bounds"]
        self.token: str = document["token"]
        self.name: str = document["name"]
        self.address: str = document["listen"]["address"]
        self.port: int = document["listen"]["port"]
        self.run_directory: str = document["run_directory"]
        self.size: int = file["size"]
        self.block_size: int = file["block_size"]
        self.hashes: list[bytes] = [bytes.fromhex(text) for text in file["blocks"]]
        self.sha256: str = file["sha256"]
        self.kind: str = sink["kind"]
        self.compression: str = sink["compression"]
        self.target: str = sink["target"]
        self.ring_bytes: int = document["ring_bytes"]
        self.session_bound: float = bounds["session"]
        self.connect_bound: float = bounds["connect"]
        self.stall_bound: float = bounds["stall"]
        self.hold_bound: float = bounds["hold"]
        self.give_up_bound: float = bounds["give_up"]
        if len(self.token.split()) != 1 or len(self.name.split()) != 1:
            raise ValueError("token and name must be one word each")
        if self.kind not in KINDS or self.compression not in DECOMPRESSORS:
            raise ValueError(f"a sink of kind {self.kind} with compression {self.compression} is not known here")
        if len(self.hashes) != -(-self.size // self.block_size):
            raise ValueError("the number of blocks does not fit the size")

    def length(self, index: int) -> int:
        """Returns the number of bytes of a block."""
        return min(self.block_size, self.size - index * self.block_size)


class Control:
    """Standard input, line by line."""

    def __init__(self) -> None:
        self.rest = b""

    def line(self, seconds: float) -> bytes | None:
        """Returns the next line, None at the end of the input; raises Failed when it does not come in time."""
        parts = [self.rest]
        total = len(self.rest)
        deadline = time.monotonic() + seconds
        while b"\n" not in parts[-1]:
            ready, _, _ = select.select([0], [], [], max(0.0, deadline - time.monotonic()))
            if not ready or total > DOCUMENT_LIMIT:
                raise Failed("no complete instruction came on standard input")
            chunk = os.read(0, 1 << 16)
            if not chunk:
                return None
            parts.append(chunk)
            total += len(chunk)
        line, _, self.rest = b"".join(parts).partition(b"\n")
        return line

    def drain(self) -> None:
        """Returns at the end of the input."""
        while os.read(0, 4096):
            pass
