"""The three services as processes: settings written, started, waited for, ended.

`make run` uses it on loopback, the demo and the end-to-end tests inside a lab's namespace.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kadeploy_demo.errors import DemoError
from kadeploy_rpckit.channel import open_channel

START_SECONDS = 60.0
STOP_SECONDS = 15.0
# Started in this order: the deployer asks the other two.
SERVICES = ("inventory", "bootctl", "deployer")


def _toml(tables: Mapping[str, Mapping[str, object]]) -> str:
    """Returns TOML text; the table "" stands at the top. Strings, numbers and lists of strings only."""
    lines: list[str] = []
    for name, values in tables.items():
        lines += [f"[{name}]"] if name else []
        # JSON's strings, numbers and lists are TOML's too.
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        lines.append("")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the services of one site live and how they are reached.

    Attributes:
        directory: settings, databases and logs.
        tftp_root: the tree that bootctl writes.
        addresses: per service, "unix:/path" or "127.0.0.1:PORT".
        deployment_kernel: the directory that holds vmlinuz, initrd.img and the host key of the deployment environment.
        cluster_key: the private key that opens the nodes.
        broadcast_address: where nodes fetch the image from.
        wrap: turns an argument list into one that runs where the services belong (a namespace).
        user: whom the client speaks for.
    """

    directory: Path
    tftp_root: Path
    addresses: Mapping[str, str]
    deployment_kernel: Path
    cluster_key: Path
    wrap: Callable[[Sequence[str]], list[str]] = list
    user: str = "root"
    bin_directory: Path = field(default_factory=lambda: Path(os.sys.executable).parent)  # type: ignore[attr-defined]

    @property
    def client_settings(self) -> Path:
        """The file for KADEPLOY_CONFIG."""
        return self.directory / "client.toml"

    def settings_file(self, service: str) -> Path:
        """The settings of one service."""
        return self.directory / f"{service}.toml"

    def log_file(self, service: str) -> Path:
        """What one service says."""
        return self.directory / f"{service}.log"
