"""A real bootctl: a tree in a temporary directory, the production server on a Unix socket, stubs for any caller."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy_bootctl import bootstrap
from kadeploy_bootctl.__main__ import main
from kadeploy_bootctl.settings import Settings
from kadeploy_bootctl.tree.entry_store import TftpEntryStore
from kadeploy_edge.channel import open_channel
from kadeploy_edge.server import ServerSettings
from tests.fakes.threaded_server import start_in_thread

MODULES = ("ldlinux.c32", "libcom32.c32", "libutil.c32", "chain.c32", "mboot.c32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """Where a bootctl of a test has its things."""

    directory: Path
    settings_file: Path
    tftp_root: Path

    @property
    def first(self) -> Path:
        """The repository that most network cards use."""
        return self.tftp_root / "PXEClient"

    @property
    def second(self) -> Path:
        """The other one."""
        return self.tftp_root / "X86PC" / "linux"

    def node_files(self) -> dict[str, str]:
        """Every file of `pxelinux.cfg/` in both repositories by its path, with its text, but GRUB's default one."""
        found = [path for place in (self.first, self.second) for path in (place / "pxelinux.cfg").iterdir()]
        found = [path for path in found if path.name != "grub.cfg"]
        return {str(path.relative_to(self.tftp_root)): path.read_text() for path in found}

    def run(self, *arguments: str) -> int:
        """Runs the command line."""
        return main([*arguments, "--config", str(self.settings_file)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stubs:
    """The three services as one caller reaches them."""

    boot: bootctl_service_pb2_grpc.BootServiceStub
    files: bootctl_service_pb2_grpc.BootFileServiceStub
    tree: bootctl_service_pb2_grpc.TreeServiceStub

    def set(self, *entries: boot_entry_pb2.BootEntry) -> list[bootctl_service_pb2.BootEntryResult]:
        """Sets entries and returns the results."""
        request = bootctl_service_pb2.SetBootEntriesRequest(entries=entries)
        return list(self.boot.SetBootEntries(request, timeout=10).results)

    def upload(self, content: bytes, *, description: str = "a file", portion: int = 1 << 16) -> boot_entry_pb2.BootFile:
        """Uploads a file as it should be done."""
        header = bootctl_service_pb2.BootFileHeader(
            digest=digest_of(content), size_bytes=len(content), description=description
        )
        messages = [bootctl_service_pb2.UploadBootFileRequest(header=header)]
        messages += [
            bootctl_service_pb2.UploadBootFileRequest(content=content[start : start + portion])
            for start in range(0, len(content), portion)
        ]
        return self.files.UploadBootFile(iter(messages), timeout=10)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def make_loaders(directory: Path) -> None:
    """Makes files that stand for the loaders of Debian's packages."""
    modules = directory / "syslinux" / "modules" / "bios"
    modules.mkdir(parents=True)
    (directory / "PXELINUX").mkdir()
    (directory / "PXELINUX" / "pxelinux.0").write_bytes(b"pxelinux")
    (directory / "syslinux" / "memdisk").write_bytes(b"memdisk")
    for name in MODULES:
        (modules / name).write_bytes(name.encode())


def make_bed(directory: Path) -> Bed:
    """Makes loaders and settings; the tree is not laid out yet."""
    make_loaders(directory)
    settings_file = directory / "bootctl.toml"
    settings_file.write_text(
        f'tftp_root = "{directory}/tftp"\n'
        f'address = "unix:{directory}/s"\n'
        'administrators = ["root"]\n'
        "maximum_file_bytes = 2000000\n"
        '[labels.deploy]\nkernel = "deploy-vmlinuz"\ninitrd = "deploy-initrd"\narguments = "console=ttyS0"\n'
        '[labels.absent]\nkernel = "absent-vmlinuz"\n'
        f'[loaders]\npxelinux_directory = "{directory}/PXELINUX"\nsyslinux_directory = "{directory}/syslinux"\n'
    )
    (directory / "kernel").write_bytes(b"deployment kernel")
    (directory / "initrd").write_bytes(b"deployment initrd")
    return Bed(directory=directory, settings_file=settings_file, tftp_root=directory / "tftp")


@pytest.fixture(scope="session")
def laid_out_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with its deployment kernel, to be copied: laying it out makes every file durable, and that takes time."""
    bed = make_bed(tmp_path_factory.mktemp("b"))
    assert bed.run("init") == 0
    kernel, initrd = str(bed.directory / "kernel"), str(bed.directory / "initrd")
    assert bed.run("label", "install", "deploy", "--kernel", kernel, "--initrd", initrd) == 0
    return bed.tftp_root


@pytest.fixture
def bed(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    """A bed whose tree is not laid out yet."""
    return make_bed(tmp_path_factory.mktemp("b"))


@pytest.fixture
def laid_out(bed: Bed, laid_out_tree: Path) -> Bed:
    """A bed with its tree and the deployment kernel."""
    shutil.copytree(laid_out_tree, bed.tftp_root)
    return bed


@contextmanager
def serving_bootctl(bed: Bed) -> Iterator[Callable[[str], Stubs]]:
    """Starts the server on a laid-out bed; gives stubs by the caller's name."""
    runtime = bootstrap.open_runtime(Settings.load(bed.settings_file))
    server, address = start_in_thread(
        bootstrap.registration(runtime),
        ServerSettings(
            service=bootstrap.SERVICE,
            address=f"unix:{bed.directory}/s",
            service_names=bootstrap.SERVICE_NAMES,
            maximum_workers=4,
        ),
    )
    channels: list[grpc.Channel] = []

    def connect(caller: str) -> Stubs:
        channel = open_channel(address, caller=caller)
        channels.append(channel)
        return Stubs(
            boot=bootctl_service_pb2_grpc.BootServiceStub(channel),
            files=bootctl_service_pb2_grpc.BootFileServiceStub(channel),
            tree=bootctl_service_pb2_grpc.TreeServiceStub(channel),
        )

    yield connect
    for channel in channels:
        channel.close()
    server.stop()
    assert isinstance(runtime.entries, TftpEntryStore)
    runtime.entries.close()


@pytest.fixture
def stubs_for(laid_out: Bed) -> Iterator[Callable[[str], Stubs]]:
    """Starts the server; gives stubs by the caller's name."""
    with serving_bootctl(laid_out) as connect:
        yield connect


@pytest.fixture
def deployer(stubs_for: Callable[[str], Stubs]) -> Stubs:
    """What the deployer uses."""
    return stubs_for("deployer")


@pytest.fixture
def administrator(stubs_for: Callable[[str], Stubs]) -> Stubs:
    """What an administrator uses."""
    return stubs_for("user:root")


@pytest.fixture
def make_entry() -> Callable[..., boot_entry_pb2.BootEntry]:
    """Makes entries: node number, target by its field's name."""

    def make(number: int, *, name: str = "", owner: str = "d1", **target: object) -> boot_entry_pb2.BootEntry:
        node = boot_entry_pb2.BootNode(
            name=name or f"node-{number}",
            mac_address=f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}",
            ip_address=f"172.31.{number >> 8}.{number & 255}",
            firmware=boot_entry_pb2.BOOT_FIRMWARE_BIOS,
        )
        kinds = target or {"local_disk": boot_entry_pb2.LocalDiskTarget()}
        return boot_entry_pb2.BootEntry(node=node, target=boot_entry_pb2.BootTarget(**kinds), owner=owner)  # type: ignore[arg-type]

    return make


def age(path: Path, *, hours: float) -> None:
    """Makes a file look older."""
    then = time.time() - hours * 3600
    os.utime(path, (then, then))
