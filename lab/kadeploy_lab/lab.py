"""Brings a lab up and down.

The order of things makes a crash harmless: what a lab is called follows from its name and directory
alone, so that `down` finds everything of it even when `up` was killed before it wrote a word.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from kadeploy_lab import commands, network, plan, services
from kadeploy_lab.accelerator import Accelerator, choose_accelerator
from kadeploy_lab.errors import LabError
from kadeploy_lab.hardware import Hardware
from kadeploy_lab.lock import exclusive
from kadeploy_lab.machine import UEFI_VARIABLES
from kadeploy_lab.plan import LabNode
from kadeploy_lab.prerequisites import check_room, check_root, check_tools, check_uefi
from kadeploy_lab.state import LabState, Owner, state_file

_GIB = 1024**3


def _silent(message: str) -> None:
    """Says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A lab that is up, and everything one needs to use it."""

    name: str
    directory: Path
    namespace: str
    run_directory: Path
    tftp_root: Path
    nodes: tuple[LabNode, ...]
    accelerator: Accelerator
    bmc_password_file: Path
    bmc_user: str = plan.BMC_USER
    gateway_ip: str = plan.GATEWAY_IP
    network: str = plan.NETWORK

    @classmethod
    def up(
        cls,
        name: str,
        directory: Path,
        *,
        node_count: int = 2,
        memory_mib: int = 768,
        disk_gib: int = 8,
        firmware: Mapping[str, str] | None = None,
        hardware: Mapping[str, Hardware] | None = None,
        loaders: str = plan.LOADERS,
        tftp_root: Path | None = None,
        tftp_servers: Mapping[str, str] | None = None,
        owner_pid: int | None = None,
        say: Callable[[str], None] = _silent,
    ) -> Self:
        """Brings a lab up: network, services, BMCs; its machines have blank disks and are off.

        A lab with an owner is a leftover as soon as that process is gone, and the next `up` of the
        same name clears it away; one without an owner stays until somebody ends it. `firmware` says
        by node name which machines have "uefi"; all others have a BIOS. `hardware` says which are not built of
        virtio's parts, `loaders` below which folder of the TFTP tree DHCP names the loaders, `tftp_servers` by node
        name which machines DHCP sends to another TFTP server than the lab's.
        """
        plan.check_name(name)
        directory = directory.resolve()
        nodes = plan.plan_nodes(
            name, directory, node_count, firmware=firmware, hardware=hardware, tftp_servers=tftp_servers
        )
        check_tools()
        if any(node.firmware == plan.UEFI for node in nodes):
            check_uefi()
        directory.mkdir(parents=True, exist_ok=True)
        with exclusive(directory, name):
            _make_room(name, directory, say)
            check_room(directory, node_count=node_count, memory_mib=memory_mib)
            accelerator = choose_accelerator(os.environ.get("LAB_ACCEL", "auto"), cache=directory / "accelerator.json")
            state = LabState(
                name=name,
                directory=directory,
                tftp_root=(tftp_root or directory / "tftp").resolve(),
                loaders=loaders,
                memory_mib=memory_mib,
                disk_gib=disk_gib,
                accelerator=accelerator,
                nodes=nodes,
                owner=Owner.of(owner_pid) if owner_pid is not None else None,
            )
            try:
                _start(state)
            except BaseException:
                _clear(name, directory)
                raise
        return cls._of(state)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The lab that was brought up in a directory."""
        return cls._of(LabState.read(directory.resolve()))

    @classmethod
    def _of(cls, state: LabState) -> Self:
        return cls(
            name=state.name,
            directory=state.directory,
            namespace=plan.namespace(state.name, state.directory),
            run_directory=plan.run_directory(state.name, state.directory),
            tftp_root=state.tftp_root,
            nodes=state.nodes,
            accelerator=state.accelerator,
            bmc_password_file=state.bmc_password_file,
        )

    def node(self, name: str) -> LabNode:
        """The machine of this name."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise LabError(f"The lab '{self.name}' has no node '{name}': it has {names}.")

    def exec_argv(self, argv: Sequence[str]) -> list[str]:
        """The argument list that runs `argv` inside the lab's namespace."""
        return commands.exec_in(self.namespace, argv)

    def ipmi_argv(self, node: LabNode, words: Iterable[str]) -> list[str]:
        """The argument list that speaks to a node's BMC from inside the namespace."""
        return [
            "ipmitool",
            *("-I", "lanplus", "-C", "3"),
            *("-H", node.bmc_address),
            *("-U", self.bmc_user),
            *("-f", str(self.bmc_password_file)),
            *words,
        ]

    def has_power(self, node: LabNode) -> bool:
        """Whether a machine runs, seen from the host; a site would ask the BMC."""
        pid_file = self.run_directory / f"{node.name}.pid"
        if not (pid_file.exists() and network.exists(self.namespace)):
            return False
        return int(pid_file.read_text()) in network.pids(self.namespace)

    def missing_services(self) -> list[str]:
        """What should run in this lab and does not."""
        if not network.exists(self.namespace):
            return ["network"]
        return services.missing(self.namespace, LabState.read(self.directory))

    def release(self) -> None:
        """Lets the lab outlive the process that it was brought up for."""
        replace(LabState.read(self.directory), owner=None).write()

    def down(self) -> bool:
        """Ends the lab and says whether there was anything to end."""
        return end_lab(self.name, self.directory)


def end_lab(name: str, directory: Path) -> bool:
    """Ends whatever is left of the lab of this name; says whether there was anything to end."""
    check_root()
    directory = directory.resolve()
    if not directory.exists():
        return _clear(name, directory)
    with exclusive(directory, name):
        return _clear(name, directory)


def _make_room(name: str, directory: Path, say: Callable[[str], None]) -> None:
    """Refuses when the lab is really up, clears it away when it is dead or half there."""
    if _is_alive(name, directory):
        raise LabError(f"The lab '{name}' is already up in {directory}: end it with `make lab-down`.")
    if _clear(name, directory):
        say(f"Cleared away what an earlier run had left of the lab '{name}'.")


def _is_alive(name: str, directory: Path) -> bool:
    namespace = plan.namespace(name, directory)
    if not (state_file(directory).exists() and network.exists(namespace)):
        return False
    try:
        state = LabState.read(directory)
    except LabError:
        return False  # an unreadable state is a leftover
    if state.owner is not None and not state.owner.is_alive:
        return False
    return state.complete and not services.missing(namespace, state)


def _start(state: LabState) -> None:
    runtime = plan.run_directory(state.name, state.directory)
    state.write()
    _fresh_files(state)
    runtime.mkdir(parents=True, mode=0o700)
    namespace = plan.namespace(state.name, state.directory)
    network.create(namespace, state.nodes)
    services.start(namespace, state, runtime)
    state.completed().write()


def _fresh_files(state: LabState) -> None:
    """Blank disks, empty logs, a new password."""
    shutil.rmtree(state.directory / "nodes", ignore_errors=True)
    for log in ("dnsmasq.log", "tftpd.log"):
        (state.directory / log).unlink(missing_ok=True)
    for node in state.nodes:
        node.disk.parent.mkdir(parents=True)
        for path in node.disks:
            with path.open("wb") as disk:
                disk.truncate(state.disk_gib * _GIB)
        if node.firmware == plan.UEFI:
            shutil.copyfile(UEFI_VARIABLES, node.variables)
        node.serial_log.touch()  # so that one can follow it before the machine is on
    state.tftp_root.mkdir(parents=True, exist_ok=True)
    # ipmitool takes 16 characters with every kind of BMC.
    descriptor = os.open(state.bmc_password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as password:
        password.write(secrets.token_hex(8))


def _clear(name: str, directory: Path) -> bool:
    """Ends and removes everything of a lab but its logs, and checks that nothing is left."""
    namespace = plan.namespace(name, directory)
    runtime = plan.run_directory(name, directory)
    found = network.exists(namespace) or runtime.exists() or state_file(directory).exists()
    if network.exists(namespace):
        network.end_processes(namespace)
        network.delete(namespace)
    if runtime.exists():
        shutil.rmtree(runtime)
    for image in (*directory.glob("nodes/*/disk*.img"), *directory.glob("nodes/*/variables.img")):
        image.unlink()
    (directory / "bmc.password").unlink(missing_ok=True)
    state_file(directory).unlink(missing_ok=True)
    if network.exists(namespace):
        raise LabError(f"The namespace {namespace} cannot be removed: see `ip netns`.")
    return found
