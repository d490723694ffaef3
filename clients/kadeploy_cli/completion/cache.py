"""Files of the user's cache directory. They hold names alone, and nobody else reads them."""

import json
import os
import time
from pathlib import Path
from typing import Any

PRIVATE = 0o700


def directory() -> Path:
    """Returns where the files are; it need not be there yet."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if named.startswith("/") else Path.home() / ".cache") / "kadeploy"


def read(name: str) -> tuple[Any, float]:
    """Returns the content of a file and its age in seconds; (None, infinity) if it is not there or is damaged."""
    try:
        text = (directory() / name).read_text(encoding="utf-8")
        document = json.loads(text)
        return document["content"], max(0.0, time.time() - float(document["time"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None, float("inf")


def write(name: str, content: Any) -> None:
    """Writes a file so that a reader sees the old content or the new one. Raises OSError."""
    place = directory() / name
    place.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    other = place.with_name(f"{place.name}.{os.getpid()}")
    other.write_text(json.dumps({"time": time.time(), "content": content}), encoding="utf-8")
    other.replace(place)
