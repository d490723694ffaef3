"""The page of a site: settings written, started, waited for, ended."""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kadeploy_demo.errors import DemoError
from kadeploy_demo.service_process import ServiceProcess
from kadeploy_demo.site import Site

USER = "web"
PORT = 7480
START_SECONDS = 30.0
_ADDRESS = re.compile(r"page on (http://\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page of a site, on loopback of this host. It reads as a user without any right."""

    site: Site

    @property
    def settings_file(self) -> Path:
        """Its settings."""
        return self.site.directory / "web.toml"

    @property
    def command(self) -> list[str]:
        """What serves it."""
        return [str(self.site.bin_directory / "kadeploy-web"), "serve", "--config", str(self.settings_file)]

    @property
    def process(self) -> ServiceProcess:
        """Its process, running or not."""
        return ServiceProcess(pid_file=self.site.directory / "web.pid", log_file=self.site.directory / "web.log")

    def start(self) -> str:
        """Starts it and returns its address. Raises DemoError with the log's last line when it does not come."""
        self._write_settings()
        self.process.log_file.unlink(missing_ok=True)
        self.process.start(self.command)
        deadline = time.monotonic() + START_SECONDS
        while not (found := _ADDRESS.search(self.process.log_file.read_text(errors="replace"))):
            if self.process.pid is None or time.monotonic() > deadline:
                raise DemoError(f"the page did not start: {self.process.last_words()}")
            time.sleep(0.1)
        return found[1]

    def stop(self) -> bool:
        """Ends it; says whether it ran."""
        return self.process.stop()

    @contextmanager
    def served(self) -> Iterator[str]:
        """Yields its address; ends it at the end."""
        try:
            yield self.start()
        finally:
            self.stop()

    def _write_settings(self) -> None:
        lines = [f'address = "127.0.0.1:{_free_port()}"', f'user = "{USER}"']
        for service in ("inventory", "deployer"):
            lines += [f"[{service}]", f"address = {json.dumps(self.site.addresses[service])}"]
        if (files := self.site.tls_files(f"users/{USER}")) is not None:
            lines += ["[tls]"]
            lines += [f'{key} = "{getattr(files, key)}"' for key in ("certificate", "private_key", "ca")]
        self.settings_file.write_text("\n".join(lines) + "\n")


def _free_port() -> int:
    """Returns the usual port, or 0 for any where somebody else has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            return 0
    return PORT
