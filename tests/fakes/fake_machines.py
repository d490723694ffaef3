"""Machines that boot what bootctl says when their power is switched, and answer as what they run would.

Joins the shell, the power and the boot of a workshop. A machine takes `boot_seconds` of the manual clock to come up.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from kadeploy_deployer.domain.snapshot import NodeSnapshot
from kadeploy_deployer.nodes.probe import BOOT_ID, COMMAND_LINE, MARKER, MOUNTS, argument
from kadeploy_deployer.ports import (
    BootChainload,
    BootDeploymentKernel,
    BootGrubDisk,
    BootNetworkKernel,
    CommandResult,
    NodeUnreachable,
    OtherHostKey,
    ShellError,
)
from kadeploy_deployer.steps.mounts import DESTINATION
from tests.fakes.scripted_remote_shell import Ran, succeeded
from tests.fakes.snapshots import GIB
from tests.fakes.step_workshop import DEPLOYMENT_KEY, Workshop

BLANK = ""
DEPLOYMENT = "deployment"
SYSTEM = "system"
PREVIOUS = "previous"
NUMBERS = {"vda1": "254:1", "vda2": "254:2", "vda3": "254:3"}
IMAGE_KEY = "/mnt/dest/etc/ssh/ssh_host_ed25519_key.pub"


@dataclass(slots=True, kw_only=True)
class FakeMachine:
    """One machine. `runs`: BLANK, DEPLOYMENT, SYSTEM or PREVIOUS; `files`: below DESTINATION, of the target partition.

    What can go wrong: `deaf_to` names power actions that it does not heed, `boots` replaces what it boots after each
    (from the front), `root` the root device of its new system; its disk is `disk_slowness` times slower than others,
    it dies in the copy, or a script of the name `hangs_in` never ends. Who simulates copies and commands heeds these.
    """

    name: str
    runs: str = BLANK
    powered: bool = True
    boot_seconds: float = 20.0
    up_at: float = 0.0
    boots_done: int = 0
    command_line: str = ""
    deployment_line: str = ""
    mounted: bool = False
    loaded: str = ""
    disk_bytes: int = 4 * GIB
    deaf_to: set[str] = field(default_factory=set)
    boots: list[str] = field(default_factory=list)
    disk_slowness: float = 1.0
    dies_in_copy: bool = False
    hangs_in: str = ""
    root: str = "vda3"
    previous_root: str = "vda1"
    files: dict[str, str] = field(default_factory=dict)
    previous_key: str = "ssh-ed25519 PREVIOUS"
    previous_deployment: str = ""
    first_boot_key: str = ""

    def disks(self) -> list[dict[str, object]]:
        """Returns its disks as the deployment environment lists them."""
        return [{"name": "vda", "size_bytes": self.disk_bytes, "serial": "D1", "wwn": "", "links": []}]

    @property
    def boot_id(self) -> str:
        """Another one after each boot."""
        return f"boot-{self.name}-{self.boots_done}"

    @property
    def host_key(self) -> str:
        """What its sshd proves."""
        image = self.first_boot_key or " ".join(self.files.get(IMAGE_KEY, "").split()[:2])
        return {DEPLOYMENT: DEPLOYMENT_KEY, SYSTEM: image, PREVIOUS: self.previous_key}.get(self.runs, "")


class FakeMachines:
    """All machines of a workshop."""

    def __init__(self, workshop: Workshop, *names: str) -> None:
        self.machines = {name: FakeMachine(name=name) for name in names or ("node-1",)}
        self._workshop = workshop
        workshop.shell.handler = self.answer
        workshop.shell.host_key_of = lambda node: self.machines[node].host_key
        workshop.power.on_change = self.power_changed

    def __getitem__(self, name: str) -> FakeMachine:
        """Returns a machine."""
        return self.machines[name]

    def power_changed(self, node: NodeSnapshot, action: str) -> None:
        """Hears of the power."""
        machine = self.machines[node.name]
        machine.powered = action != "off"
        if machine.powered and action not in machine.deaf_to:
            self.boot(machine)

    def boot(self, machine: FakeMachine) -> None:
        """Starts a machine from the beginning."""
        machine.boots_done += 1
        machine.mounted = False
        machine.up_at = self._workshop.clock.time + machine.boot_seconds
        entry = self._workshop.boot.entries.get(machine.name)
        runs, machine.command_line = PREVIOUS, "root=/dev/vda1"
        if isinstance(entry, BootDeploymentKernel):
            runs, machine.command_line = DEPLOYMENT, f"quiet {entry.arguments}"
            machine.deployment_line = machine.command_line
        elif isinstance(entry, BootNetworkKernel | BootGrubDisk):
            runs, machine.command_line = SYSTEM, entry.arguments
        elif isinstance(entry, BootChainload):
            runs, machine.command_line = SYSTEM, "root=/dev/vda3 from its own loader"
        machine.runs = machine.boots.pop(0) if machine.boots else runs
        if machine.runs == DEPLOYMENT:
            machine.command_line = machine.deployment_line
        elif machine.runs == PREVIOUS:
            machine.command_line = "root=/dev/vda1"

    def answer(self, ran: Ran) -> CommandResult | ShellError | None:
        """Answers a command as the machine would."""
        machine = self.machines[ran.node]
        if not machine.powered or not machine.runs or self._workshop.clock.time < machine.up_at:
            return NodeUnreachable(f"{ran.node} refused the connection to {ran.host.address} port 22")
        if not ran.unproved and machine.host_key not in [" ".join(key.split()[:2]) for key in ran.host.host_keys]:
            return OtherHostKey(f"{ran.node} proved another host key than expected on {ran.host.address} port 22")
        return self._command(machine, ran.arguments, ran.stdin)

    def _command(self, machine: FakeMachine, arguments: tuple[str, ...], stdin: bytes) -> CommandResult | None:
        match arguments:
            case ("grep", *_):
                return succeeded(self._probe(machine))
            case ("sh", "-c", _, "reboot"):
                if "soft" not in machine.deaf_to:
                    self.boot(machine)
                return succeeded()
            case ("kexec", "-l", *words):
                machine.loaded = next(word.partition("=")[2] for word in words if word.startswith("--command-line="))
                return succeeded()
            case ("sh", "-c", _, "kexec"):
                self.boot(machine)
                machine.runs, machine.command_line = SYSTEM, machine.loaded
                return succeeded()
            case ("sh", "-c", _, "real-path", root, path):
                return succeeded(f"{root}{path}\n")
        return _disk_command(machine, arguments) or _file_command(machine, arguments, stdin)

    def _probe(self, machine: FakeMachine) -> str:
        root = {SYSTEM: machine.root, PREVIOUS: machine.previous_root}.get(machine.runs)
        mount = f"21 1 {NUMBERS[root]} / / rw - ext4 /dev/root rw" if root else "1 1 0:2 / / rw - rootfs none rw"
        marker = machine.files.get(f"{DESTINATION}{MARKER}", "") if machine.runs == SYSTEM else ""
        if machine.runs == PREVIOUS and machine.previous_deployment:
            marker = f"deployment={machine.previous_deployment}\n"
        content: Mapping[str, str] = {
            COMMAND_LINE: machine.command_line,
            BOOT_ID: machine.boot_id,
            MOUNTS: mount,
            MARKER: marker,
            "/sys/class/block/vda3/dev": NUMBERS["vda3"],
        }
        return "".join(f"{path}:{line}\n" for path, text in content.items() for line in text.splitlines())


def token_of(machine: FakeMachine) -> str:
    """Returns the token that a machine was booted with."""
    return argument(machine.command_line, "kadeploy.token")


def _disk_command(machine: FakeMachine, arguments: tuple[str, ...]) -> CommandResult | None:
    match arguments:
        case ("kadeploy-hardware", "disks"):
            return succeeded(json.dumps(machine.disks()))
        case ("cat", "/proc/mounts"):
            return succeeded(f"/dev/vda3 {DESTINATION} ext4 rw 0 0\n" if machine.mounted else "")
        case ("mount" | "umount" as word, *_):
            machine.mounted = word == "mount"
        case ("blockdev", "--getsize64", "--getss", _):
            return succeeded(f"{machine.disk_bytes}\n512\n")
        case ("blockdev", "--getsize64", *devices):
            return succeeded("".join(f"{2 * GIB}\n" for _ in devices))
    return None


def _file_command(machine: FakeMachine, arguments: tuple[str, ...], stdin: bytes) -> CommandResult | None:
    missing = CommandResult(exit_status=1, stdout="", stderr="no such file or directory")
    match arguments:
        case ("sh", "-c", _, "write-file", path, _):
            machine.files[path] = stdin.decode()
        case ("sh", "-c", _, "host-keys", directory):
            return succeeded("".join(text for path, text in machine.files.items() if path.startswith(directory)))
        case ("test", "-d", directory):
            return succeeded() if any(path.startswith(f"{directory}/") for path in machine.files) else missing
        case ("cat", path) if path.startswith(DESTINATION):
            return succeeded(machine.files[path]) if path in machine.files else missing
    return None
