"""What every Boot does: the fake one, and the one that speaks to a real bootctl."""

import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kadeploy_bootctl import bootstrap
from kadeploy_bootctl.__main__ import main
from kadeploy_bootctl.settings import Settings
from kadeploy_bootctl.tree.entry_store import TftpEntryStore
from kadeploy_deployer.adapters.boot_grpc import GrpcBoot
from kadeploy_deployer.domain.errors import LeaseLost
from kadeploy_deployer.engine.fence import behind
from kadeploy_deployer.ports import (
    Boot,
    BootChainload,
    BootDeploymentKernel,
    BootError,
    BootGrubDisk,
    BootHypervisor,
    BootLocalDisk,
    BootNetworkKernel,
    BootTarget,
)
from kadeploy_edge.server import ServerSettings
from tests.fakes import snapshots
from tests.fakes.closed_fence import closed_fence
from tests.fakes.fake_boot import FakeBoot
from tests.fakes.threaded_server import start_in_thread

KERNEL = b"a kernel " * 100_000
NODES = snapshots.nodes("node-1", "node-2")


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A TFTP tree with loaders and a deployment kernel."""
    modules = tmp_path / "syslinux" / "modules" / "bios"
    modules.mkdir(parents=True)
    (tmp_path / "PXELINUX").mkdir()
    loaders = ["ldlinux.c32", "libcom32.c32", "libutil.c32", "chain.c32", "mboot.c32"]
    for path in [
        tmp_path / "PXELINUX" / "pxelinux.0",
        tmp_path / "syslinux" / "memdisk",
        *(modules / n for n in loaders),
    ]:
        path.write_bytes(path.name.encode())
    (tmp_path / "kernel").write_bytes(b"kernel")
    (tmp_path / "initrd").write_bytes(b"initrd")
    settings = tmp_path / "bootctl.toml"
    settings.write_text(
        f'tftp_root = "{tmp_path}/tftp"\n'
        '[labels.deploy]\nkernel = "vmlinuz"\ninitrd = "initrd"\narguments = "quiet"\n'
        f'[loaders]\npxelinux_directory = "{tmp_path}/PXELINUX"\nsyslinux_directory = "{tmp_path}/syslinux"\n'
    )
    files = ["--kernel", str(tmp_path / "kernel"), "--initrd", str(tmp_path / "initrd")]
    assert main(["init", "--config", str(settings)]) == 0
    assert main(["label", "install", "deploy", *files, "--config", str(settings)]) == 0
    capsys.readouterr()
    return settings


@pytest.fixture
def bootctl(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a bootctl that runs."""
    runtime = bootstrap.open_runtime(Settings.load(tree))
    server, address = start_in_thread(
        bootstrap.registration(runtime),
        ServerSettings(
            service=bootstrap.SERVICE,
            address=f"unix:{tmp_path_factory.mktemp('b')}/s",
            service_names=bootstrap.SERVICE_NAMES,
            maximum_workers=4,
        ),
    )
    yield address
    server.stop()
    assert isinstance(runtime.entries, TftpEntryStore)
    runtime.entries.close()


@pytest.fixture(params=["fake", "grpc"])
async def boot(request: pytest.FixtureRequest, bootctl: str) -> AsyncIterator[Boot]:
    if request.param == "fake":
        yield FakeBoot()
        return
    real = GrpcBoot(bootctl)
    yield real
    await real.close()


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "new-kernel"
    path.write_bytes(KERNEL)
    return path


async def test_entries_of_every_kind_are_written(boot: Boot, kernel: Path) -> None:
    digest = digest_of(KERNEL)
    await boot.upload(kernel, digest=digest, description="kernel of debian")
    targets: list[BootTarget] = [
        BootDeploymentKernel(label="deploy", arguments="kadeploy.token=t kadeploy.node=node-1"),
        BootNetworkKernel(kernel_digest=digest, initrd_digest="", arguments="root=/dev/vda3 rw"),
        BootLocalDisk(),
        BootChainload(disk=0, partition=3),
        BootGrubDisk(device="vda", partition=3, kernel_path="/vmlinuz", initrd_path="/initrd.img", arguments="rw"),
        BootHypervisor(
            hypervisor_digest=digest,
            hypervisor_arguments="dom0_mem=512M",
            kernel_digest=digest,
            initrd_digest=digest,
            arguments="root=/dev/vda3",
        ),
    ]
    for target in targets:
        assert await boot.set_entries({"node-1": target, "node-2": target}, NODES, owner="d-1") == {}
        assert await boot.set_entries({"node-1": target}, NODES, owner="d-1") == {}


async def test_a_file_may_be_uploaded_twice(boot: Boot, kernel: Path) -> None:
    for _ in range(2):
        await boot.upload(kernel, digest=digest_of(KERNEL), description="kernel of debian")


async def test_a_file_that_bootctl_has_is_wanted_for_another_hour(bootctl: str, tree: Path, kernel: Path) -> None:
    boot = GrpcBoot(bootctl)
    digest = digest_of(KERNEL)
    await boot.upload(kernel, digest=digest, description="kernel of debian")
    note = tree.parent / "tftp/PXEClient/images_grub/.bootctl/files" / digest.replace(":", "-")
    os.utime(note, (1.0, 1.0))
    # The file on this side may be gone: nothing of it is sent.
    await boot.upload(kernel.with_name("gone"), digest=digest, description="kernel of debian")
    assert note.stat().st_mtime > 1.0
    await boot.close()


async def test_a_file_that_bootctl_lost_in_one_place_is_uploaded_again(bootctl: str, tree: Path, kernel: Path) -> None:
    boot = GrpcBoot(bootctl)
    digest = digest_of(KERNEL)
    await boot.upload(kernel, digest=digest, description="kernel of debian")
    lost = tree.parent / "tftp/X86PC/linux/images_grub" / digest.replace(":", "-")
    lost.unlink()
    await boot.upload(kernel, digest=digest, description="kernel of debian")
    assert lost.read_bytes() == KERNEL
    await boot.close()


async def test_a_file_with_another_digest_is_refused(boot: Boot, kernel: Path) -> None:
    with pytest.raises(BootError, match="kernel of debian cannot be uploaded"):
        await boot.upload(kernel, digest=digest_of(b"other"), description="kernel of debian")


async def test_an_entry_that_names_no_file_fails_alone(boot: Boot) -> None:
    missing = BootNetworkKernel(kernel_digest=digest_of(b"missing"), initrd_digest="", arguments="rw")
    problems = await boot.set_entries({"node-1": missing, "node-2": BootLocalDisk()}, NODES, owner="d-1")
    assert list(problems) == ["node-1"]
    assert digest_of(b"missing") in problems["node-1"]


async def test_entries_are_shown_without_being_written(boot: Boot) -> None:
    targets = {"node-1": BootDeploymentKernel(label="deploy", arguments="kadeploy.node=node-1")}
    shown = await boot.render_entries(targets, NODES, owner="d-1")
    assert list(shown) == ["node-1"]
    assert all(path and "kadeploy.node=node-1" in text for path, text in shown["node-1"])


async def test_an_entry_is_shown_before_its_files_are_uploaded(boot: Boot) -> None:
    target = BootNetworkKernel(kernel_digest=digest_of(b"later"), initrd_digest="", arguments="root=/dev/vda3")
    shown = await boot.render_entries({"node-1": target}, NODES, owner="d-1")
    assert all("root=/dev/vda3" in text for _, text in shown["node-1"])


async def test_a_hypervisor_boots_with_its_kernel_and_the_kernel_s_arguments(bootctl: str) -> None:
    boot = GrpcBoot(bootctl)
    xen, kernel, initrd = (digest_of(word) for word in (b"xen", b"kernel", b"initrd"))
    target = BootHypervisor(
        hypervisor_digest=xen,
        hypervisor_arguments="dom0_mem=512M",
        kernel_digest=kernel,
        initrd_digest=initrd,
        arguments="root=/dev/vda3 kadeploy.token=t",
    )
    [(_, text), *_] = (await boot.render_entries({"node-1": target}, NODES, owner="d-1"))["node-1"]
    modules = text[text.index("APPEND ") :].splitlines()[0].split(" --- ")
    assert modules[0].endswith(f"{xen.replace(':', '-')} dom0_mem=512M")
    assert modules[1].endswith(f"{kernel.replace(':', '-')} root=/dev/vda3 kadeploy.token=t")
    assert modules[2].endswith(initrd.replace(":", "-"))
    await boot.close()


async def test_what_is_shown_is_what_is_written(bootctl: str, tree: Path) -> None:
    boot = GrpcBoot(bootctl)
    targets = {"node-1": BootDeploymentKernel(label="deploy", arguments="kadeploy.node=node-1")}
    shown = (await boot.render_entries(targets, NODES, owner="d-1"))["node-1"]
    root = tree.parent / "tftp"
    assert not any((root / path).exists() for path, _ in shown)
    assert await boot.set_entries(targets, NODES, owner="d-1") == {}
    assert [(root / path).read_text() for path, _ in shown] == [text for _, text in shown]
    await boot.close()


async def test_a_machine_whose_uuid_is_known_has_its_files_under_that_name_too(bootctl: str, tree: Path) -> None:
    boot = GrpcBoot(bootctl)
    nodes = {
        "node-1": snapshots.a_node(uuid="b8945908-d6a6-41a9-611d-74a6ab80b83d"),
        "node-2": snapshots.a_node("node-2"),
    }
    assert await boot.set_entries({name: BootLocalDisk() for name in nodes}, nodes, owner="d-1") == {}
    written = {path.name for path in (tree.parent / "tftp/PXEClient/pxelinux.cfg").iterdir()}
    uuids = {"085994b8-a6d6-a941-611d-74a6ab80b83d", "b8945908-d6a6-41a9-611d-74a6ab80b83d"}
    assert {name for name in written if len(name) == len("b8945908-d6a6-41a9-611d-74a6ab80b83d")} == uuids
    await boot.close()


async def test_an_unknown_label_is_told(bootctl: str) -> None:
    boot = GrpcBoot(bootctl)
    problems = await boot.set_entries(
        {"node-1": BootDeploymentKernel(label="absent", arguments="")}, NODES, owner="d-1"
    )
    assert "bootctl refused the entry of node-1: " in problems["node-1"]
    assert "absent" in problems["node-1"]
    await boot.close()


async def test_a_silent_bootctl_is_told_with_its_address(tmp_path: Path, kernel: Path) -> None:
    boot = GrpcBoot(f"unix:{tmp_path}/nobody", call_seconds=5.0)
    with pytest.raises(BootError, match="boot entries cannot be written: bootctl does not answer on unix:"):
        await boot.set_entries({"node-1": BootLocalDisk()}, NODES, owner="d-1")
    with pytest.raises(BootError, match="bootctl does not answer on unix:"):
        await boot.upload(kernel, digest=digest_of(KERNEL), description="kernel of debian")
    with pytest.raises(BootError, match="boot entries cannot be shown: bootctl does not answer"):
        await boot.render_entries({"node-1": BootLocalDisk()}, NODES, owner="d-1")
    await boot.close()


async def test_a_file_that_vanished_is_told(bootctl: str, tmp_path: Path) -> None:
    boot = GrpcBoot(bootctl)
    with pytest.raises(BootError, match=r"kernel of debian cannot be uploaded: .*gone: No such file"):
        await boot.upload(tmp_path / "gone", digest=digest_of(b"gone"), description="kernel of debian")
    await boot.close()


async def test_a_file_that_cannot_be_read_is_told(bootctl: str, tmp_path: Path) -> None:
    boot = GrpcBoot(bootctl)
    with pytest.raises(BootError, match=r"kernel of debian cannot be uploaded: .*: Is a directory"):
        await boot.upload(tmp_path, digest=digest_of(b"gone"), description="kernel of debian")
    await boot.close()


async def test_a_file_that_breaks_off_is_told(bootctl: str, kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def breaking(_path: Path, _threads: object) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        async def parts() -> AsyncIterator[bytes]:
            yield b"x"
            raise OSError(5, "Input/output error")

        yield 10, parts()

    monkeypatch.setattr("kadeploy_deployer.adapters.boot_grpc.file_parts", breaking)
    boot = GrpcBoot(bootctl)
    with pytest.raises(BootError, match=r"kernel of debian cannot be uploaded: .*: Input/output error"):
        await boot.upload(kernel, digest=digest_of(KERNEL), description="kernel of debian")
    await boot.close()


async def test_many_entries_go_in_several_calls(bootctl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kadeploy_deployer.adapters.boot_grpc.ENTRIES_PER_CALL", 2)
    boot = GrpcBoot(bootctl)
    nodes = snapshots.nodes(*(f"node-{number}" for number in range(1, 6)))
    targets: dict[str, BootTarget] = {name: BootLocalDisk() for name in nodes}
    targets["node-4"] = BootDeploymentKernel(label="absent", arguments="")
    assert list(await boot.set_entries(targets, nodes, owner="d-1")) == ["node-4"]
    await boot.close()


async def test_who_has_lost_his_lease_changes_no_entry(boot: Boot, tree: Path) -> None:
    assert await boot.set_entries({"node-1": BootLocalDisk()}, NODES, owner="d-1") == {}
    before = written(tree)
    target = BootDeploymentKernel(label="deploy", arguments="kadeploy.token=t kadeploy.node=node-1")
    with behind(closed_fence()), pytest.raises(LeaseLost):
        await boot.set_entries({"node-1": target}, NODES, owner="d-1")
    assert written(tree) == before
    if isinstance(boot, FakeBoot):
        assert boot.entries == {"node-1": BootLocalDisk()}


def written(tree: Path) -> dict[str, bytes]:
    """Returns all files of a tree with what stands in them."""
    return {str(path): path.read_bytes() for path in tree.parent.rglob("*") if path.is_file()}
