"""The state file of a lab, `state.json`: what was brought up, for whoever comes later."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from kadeploy_lab.accelerator import Accelerator
from kadeploy_lab.errors import LabError
from kadeploy_lab.hardware import Hardware
from kadeploy_lab.plan import LabNode

_FORMAT = 4
_NODE_PATHS = ("serial_log", "serial_socket", "disk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The process that a lab lives for; the start time tells it from a later one of the same number."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The process of this number as it is now, or nothing when it is gone."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return cls(pid=pid, started=int(fields[19]))

    @property
    def is_alive(self) -> bool:
        """Whether that very process still runs."""
        return Owner.of(self.pid) == self


@dataclass(frozen=True, slots=True, kw_only=True)
class LabState:
    """Everything that `Lab.up` decided."""

    name: str
    directory: Path
    tftp_root: Path
    loaders: str
    memory_mib: int
    disk_gib: int
    accelerator: Accelerator
    nodes: tuple[LabNode, ...]
    owner: Owner | None
    complete: bool = False

    @property
    def bmc_password_file(self) -> Path:
        """The file with the one password of all BMCs of this lab."""
        return self.directory / "bmc.password"

    def completed(self) -> Self:
        """The same lab, all of it running."""
        return replace(self, complete=True)

    def write(self) -> None:
        """Replaces the state file in one piece."""
        fields = asdict(self) | {"format": _FORMAT}
        text = json.dumps(fields, indent=2, default=str) + "\n"
        scratch = self.directory / ".state.json.new"
        scratch.write_text(text)
        scratch.replace(state_file(self.directory))

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Reads the state of the lab in a directory."""
        path = state_file(directory)
        try:
            fields: dict[str, Any] = json.loads(path.read_text())
            if fields.pop("format") != _FORMAT:
                raise LabError(f"{path} was written by another version: run `make lab-down`.")
            return cls(
                **fields
                | {
                    "directory": Path(fields["directory"]),
                    "tftp_root": Path(fields["tftp_root"]),
                    "accelerator": Accelerator(**fields["accelerator"]),
                    "nodes": tuple(_read_node(node) for node in fields["nodes"]),
                    "owner": Owner(**fields["owner"]) if fields["owner"] else None,
                }
            )
        except FileNotFoundError as missing:
            raise LabError(f"No lab is up in {directory}: run `make lab-up` to start one.") from missing
        except (ValueError, KeyError, TypeError) as broken:
            raise LabError(f"{path} cannot be read: run `make lab-down`, then again.") from broken


def state_file(directory: Path) -> Path:
    """Where the state of a lab is written down."""
    return directory / "state.json"


def _read_node(fields: dict[str, Any]) -> LabNode:
    return LabNode(
        name=fields["name"],
        mac=fields["mac"],
        ip=fields["ip"],
        bmc_address=fields["bmc_address"],
        firmware=fields["firmware"],
        hardware=Hardware.read(fields["hardware"]),
        tftp_server=fields["tftp_server"],
        **{key: Path(fields[key]) for key in _NODE_PATHS},
    )
