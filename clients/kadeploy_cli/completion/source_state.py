"""Says which state of the program the cached tree of commands belongs to."""

import os
from pathlib import Path
from zlib import crc32

PACKAGE = Path(__file__).parents[1]


def tree_file() -> str:
    """Returns the name of the cache file for the program as it is now: another after each upgrade or change."""
    state = crc32(str(PACKAGE).encode())
    for place, folders, files in os.walk(PACKAGE):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                state = crc32(f"{name}{Path(place, name).stat().st_mtime_ns}".encode(), state)
    return f"commands-{state:08x}.json"
