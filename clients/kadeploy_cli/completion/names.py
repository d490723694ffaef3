"""Names that the services know, out of a cache: a new one within seconds, an old one at once.

Names of the last seconds are taken as they are. Older ones are answered, too, while a process of its own asks for new
ones. Only when there are none at all, the shell waits, for a bounded time.
"""

import json
import os
import sys
import time
from zlib import crc32

from kadeploy_cli.completion import cache

FRESH_SECONDS = 10.0
PATIENCE = 3.0
LOOK_PAUSE = 0.02
# The path of this process is handed over: packages put theirs there by themselves.
PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop());"
    "from kadeploy_cli.completion.fetch import main; sys.exit(main())"
)
KINDS = ("node", "environment", "partition", "deployment", "operation", "user", "cluster")


class CachedNames:
    """Gives names of a kind. `config`: the settings that the command line names; empty: the usual ones."""

    def __init__(self, config: str) -> None:
        self._config = config

    def of(self, kind: str) -> list[str]:
        """Returns the names of a kind, as far as they are known."""
        if kind not in KINDS:
            return []
        content, age = cache.read(names_file(kind, self._config))
        if age > FRESH_SECONDS:
            process = _fetch(kind, self._config)
            if content is None:
                _wait(process)
                content, _ = cache.read(names_file(kind, self._config))
        return [str(name) for name in content] if isinstance(content, list) else []


def names_file(kind: str, config: str) -> str:
    """Returns the cache file of a kind: settings of another site have files of their own."""
    settings = config or os.environ.get("KADEPLOY_CONFIG", "")
    return f"names/{kind}-{crc32(settings.encode()):08x}.json"


def _fetch(kind: str, config: str) -> int:
    """Starts a process that asks the services, and returns its number. It is in nobody's way, whatever it says."""
    nowhere = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    arguments = [sys.executable, "-IS", "-c", PROGRAM, kind, config, json.dumps(sys.path)]
    return os.posix_spawn(sys.executable, arguments, os.environ, file_actions=nowhere, setsid=True)


def _wait(process: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if os.waitpid(process, os.WNOHANG)[0]:
            return
        time.sleep(LOOK_PAUSE)
