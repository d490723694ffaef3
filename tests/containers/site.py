"""A site that compose.yaml brings up on a private engine, as an administrator would: built, prepared, started."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.containers.engine import Engine, EngineError, private_engine
from tests.containers.stand_ins import STAND_INS, archive_of
from tests.containers.tools import CHECKOUT

DIRECTORY = CHECKOUT / "build" / "compose"
COMPOSE_FILE = CHECKOUT / "compose.yaml"
QUICK_HEALTH = Path(__file__).parent / "quick-health.yaml"
MANUAL = CHECKOUT / "docs" / "compose.md"
PREPARE = CHECKOUT / "services" / "compose" / "prepare-site"
PROGRAMS = Path(sys.executable).parent
BUILD_SECONDS = 900.0
START_SECONDS = 300.0
COMMAND_SECONDS = 180.0
PORTS = {"inventory": 7401, "deployer": 7402, "bootctl": 7403}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposedSite:
    """A site that runs, and how it is used from its host."""

    engine: Engine
    directory: Path

    def compose(self, *arguments: str, timeout: float = START_SECONDS, overrides: Sequence[Path] = ()) -> str:
        """Runs a Compose command on the project, with what is laid over compose.yaml."""
        files = [word for path in (COMPOSE_FILE, QUICK_HEALTH, *overrides) for word in ("--file", path)]
        return self.engine.compose(*files, *arguments, timeout=timeout)

    def start(self, *overrides: Path) -> None:
        """Starts everything, what has changed anew, and waits until it is healthy."""
        self.compose("up", "--detach", "--wait", "--pull", "never", "--no-build", overrides=overrides)

    def restart(self, service: str) -> None:
        """Restarts one service and waits until it is healthy again."""
        self.compose("restart", service)
        deadline = time.monotonic() + START_SECONDS
        while (health := self.containers()[service]["State"]["Health"]["Status"]) != "healthy":
            if time.monotonic() > deadline:
                raise EngineError(f"{service} is {health} after its restart: {self.compose('logs', service)[-2000:]}")
            time.sleep(0.5)

    def containers(self) -> dict[str, Any]:
        """Returns what the engine knows of each container that runs, by service."""
        found: list[Any] = json.loads(self.engine.docker("inspect", *self.compose("ps", "--quiet").split()))
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}

    def issue(self, user: str) -> None:
        """Gives a user a certificate."""
        self.run([PROGRAMS / "ka", "pki", "issue", "user", user, "--directory", self.directory / "pki"], {})

    def call(self, user: str, *command: str) -> "subprocess.CompletedProcess[str]":
        """Runs a command line tool of this host, with a user's certificate, through the published ports."""
        settings = self.directory / f"client-{user}.toml"
        lines = [f'[{name}]\naddress = "localhost:{port}"\n' for name, port in PORTS.items()]
        certificates = self.directory / "pki" / "users" / user
        lines.append("[tls]\n")
        lines += [f'{key} = "{certificates / key}.pem"\n' for key in ("certificate", "private_key", "ca")]
        settings.write_text("".join(lines))
        program, *arguments = command
        return self.run(self.engine.inside([PROGRAMS / program, *arguments]), {"KADEPLOY_CONFIG": str(settings)})

    def run(self, argv: Sequence[str | Path], variables: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        """Runs a program of this host to its end, whatever its status."""
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )


@contextmanager
def composed_site() -> Iterator[ComposedSite]:
    """Yields a site that is up, from images built for it; nothing of it is left afterwards."""
    with private_engine(DIRECTORY / "engine", visible=[CHECKOUT]) as engine:
        for image in STAND_INS:
            changes = [word for change in image.changes for word in ("--change", change)]
            engine.docker("import", *changes, archive_of(image), image.name, timeout=BUILD_SECONDS)
        directory = DIRECTORY / "site"
        shutil.rmtree(directory, ignore_errors=True)
        engine.variables.update(KADEPLOY_SITE=str(directory), KADEPLOY_ADDRESS="127.0.0.1")
        site = ComposedSite(engine=engine, directory=directory)
        try:
            site.compose("--profile", "tools", "build", timeout=BUILD_SECONDS)
            _prepare(site)
            site.start()
            yield site
            site.compose("--profile", "tools", "down", "--volumes")
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def write_manuals_override(directory: Path, *, parent: str) -> Path:
    """Writes the manual's own compose.override.yaml, for an interface of this name to the nodes' network."""
    _, _, rest = MANUAL.read_text(encoding="utf-8").partition("in `compose.override.yaml`:\n\n")
    block = textwrap.dedent(rest.partition("\n\n")[0])
    assert "parent: eth1}" in block, "the manual does not say how the nodes' network is attached"
    path = directory / "compose.override.yaml"
    path.write_text(block.replace("parent: eth1}", f"parent: {parent}}}"))
    return path


def _prepare(site: ComposedSite) -> None:
    host_keys = site.engine.directory / "host_key"
    site.engine.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_keys], timeout=COMMAND_SECONDS)
    site.engine.variables["DOCKER"] = str(site.engine.tree / "usr/bin/docker")
    command = [str(PREPARE), "--site", str(site.directory), "--host-keys", f"{host_keys}.pub"]
    # Twice: what is there is kept.
    for _ in range(2):
        site.engine.run(command, timeout=COMMAND_SECONDS)
