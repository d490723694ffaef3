"""The nodes' program, but it spoils what it passes on: bad memory, or a bad mind."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from kabroadcast import session
from kabroadcast.ring import Reader, Ring


class SpoilingRing(Ring):
    """Gives other bytes to the nodes behind than to its own sink."""

    def wait(self, reader: Reader, seconds: float) -> bytearray | None:
        """Flips a bit of every block after the second."""
        block = super().wait(reader, seconds)
        if block is None or reader.local or reader.position < 2:
            return block
        spoilt = bytearray(block)
        spoilt[len(spoilt) // 2] ^= 1
        return spoilt


session.Ring = SpoilingRing  # type: ignore[attr-defined]
sys.exit(session.main())
