"""The command line tools, called as a user calls them: by name, with KADEPLOY_CONFIG, nothing else."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kadeploy_demo.errors import DemoError

COMMAND_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The tools with one settings file. `seconds`: how long each command may take."""

    settings: Path
    say: Callable[[str], None]
    bin_directory: Path = Path(sys.executable).parent
    seconds: float = COMMAND_SECONDS

    def argv(self, command: Sequence[str]) -> list[str]:
        """Returns the argument list with the tool's whole path."""
        return [str(self.bin_directory / command[0]), *command[1:]]

    def environment(self) -> dict[str, str]:
        """Returns the environment that the tools run in."""
        return {**os.environ, "KADEPLOY_CONFIG": str(self.settings)}

    def run(self, *command: str) -> str:
        """Runs a tool to its end and returns what it printed. Raises DemoError with its own words when it fails."""
        self.say("$ " + " ".join(command))
        done = subprocess.run(
            self.argv(command),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=self.seconds,
            check=False,
        )
        if done.returncode != 0:
            words = (done.stderr or done.stdout).strip() or "without a word"
            raise DemoError(f"{command[0]} ended with status {done.returncode}: {words}")
        return done.stdout

    def read_json(self, *command: str) -> Any:
        """Runs a tool that prints JSON and returns what it says."""
        text = self.run(*command)
        try:
            return json.loads(text)
        except ValueError as error:
            raise DemoError(f"{command[0]} does not print JSON: {text[:200]!r}") from error
