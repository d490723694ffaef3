"""Proves what came: the manifest by its digest, which came over SSH, and every block by the manifest.

A unit is what is proved at once: the manifest, or a block of the file.
"""

import blake3

from .document import HASH_BYTES, Document


class Proof:
    """The unit that is being received, and what was proved so far."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.manifest = b""
        self.proved = 0
        self.end: int = document.manifest_size
        self._hash = blake3.blake3()
        self._seen = blake3.blake3()

    def block(self) -> int:
        """Returns the number of the block of the current unit; -1 for the manifest."""
        if self.proved < self.document.manifest_size:
            return -1
        return (self.proved - self.document.manifest_size) // self.document.block_size

    def name(self) -> str:
        """Returns the current unit for a sentence."""
        block = self.block()
        return "the manifest" if block < 0 else f"block {block}"

    def update(self, content: memoryview) -> None:
        """Adds bytes of the current unit."""
        self._hash.update(content)

    def restart(self) -> None:
        """Forgets what came of the current unit."""
        self._hash = blake3.blake3()

    def conclude(self, content: bytes) -> bool:
        """Proves the complete unit and goes on to the next, or forgets it and returns False.

        `content`: that of the unit, wanted for the manifest alone.
        """
        digest = self._hash.digest()
        self._hash = blake3.blake3()
        block = self.block()
        if block < 0:
            if digest != self.document.manifest_digest:
                return False
            self.manifest = content
        else:
            if digest != self.manifest[block * HASH_BYTES : (block + 1) * HASH_BYTES]:
                return False
            self._seen.update(digest)
        self.proved = self.end
        self.end = min(self.proved + self.document.block_size, self.document.total)
        return True

    def digest(self) -> str:
        """Returns the BLAKE3 of the digests of all blocks that were proved, in hexadecimal."""
        return self._seen.hexdigest()
