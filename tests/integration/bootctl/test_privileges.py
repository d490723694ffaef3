"""bootctl under an unprivileged user, with only its own directories writable: everything works, nothing else does."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy_edge.channel import open_channel
from tests.integration.bootctl.conftest import Bed, Stubs, make_bed


def may_confine() -> bool:
    """Tells whether this process can give up being root, and may make mounts of its own (a container's may not)."""
    if os.geteuid() != 0:
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, timeout=30, check=False).returncode == 0


pytestmark = [pytest.mark.integration, pytest.mark.skipif(not may_confine(), reason="needs a real root")]

USER = 65534
CONFINED = Path(__file__).with_name("confined.py")
SECONDS = 60.0

# Tries to write a file in each directory and tells where it could.
WRITER = """
import os, sys
for place in sys.argv[1:]:
    path = os.path.join(place, "written-by-the-test")
    try:
        open(path, "x").close()
        os.unlink(path)
        print(place)
    except OSError:
        pass
"""


@pytest.fixture
def open_bed(laid_out_tree: Path) -> Iterator[Bed]:
    """A bed that other users may look into, with what bootctl writes given to the user."""
    directory = Path(tempfile.mkdtemp(prefix="kadeploy-bootctl-"))
    try:
        directory.chmod(0o755)
        bed = make_bed(directory)
        shutil.copytree(laid_out_tree, bed.tftp_root)
        (directory / "run").mkdir()
        text = bed.settings_file.read_text()
        bed.settings_file.write_text(text.replace(f"unix:{directory}/s", f"unix:{directory}/run/s"))
        for place in writable(bed):
            for path in (place, *place.rglob("*")):
                os.chown(path, USER, USER)
        yield bed
    finally:
        shutil.rmtree(directory)


def writable(bed: Bed) -> list[Path]:
    """The directories that bootctl has to write: those of docs/boot-files.md, and where its socket is."""
    places = [place / name for place in (bed.first, bed.second) for name in ("pxelinux.cfg", "images_grub")]
    return [*places, bed.directory / "run"]


def confined(bed: Bed, *command: str) -> list[str]:
    return [sys.executable, str(CONFINED), str(USER), *map(str, writable(bed)), "--", *command]


@pytest.fixture
def served(open_bed: Bed) -> Iterator[Stubs]:
    program = str(Path(sys.executable).parent / "kadeploy-bootctl")
    command = confined(open_bed, program, "serve", "--config", str(open_bed.settings_file))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        with open_channel(f"unix:{open_bed.directory}/run/s", caller="user:root") as channel:
            deadline = time.monotonic() + SECONDS
            request = health_pb2.HealthCheckRequest()
            while process.poll() is None and not (open_bed.directory / "run" / "s").exists():
                assert time.monotonic() < deadline, "bootctl does not listen"
                time.sleep(0.1)
            assert process.poll() is None, process.stdout and process.stdout.read().decode()
            health_pb2_grpc.HealthStub(channel).Check(request, timeout=30, wait_for_ready=True)
            yield Stubs(
                boot=bootctl_service_pb2_grpc.BootServiceStub(channel),
                files=bootctl_service_pb2_grpc.BootFileServiceStub(channel),
                tree=bootctl_service_pb2_grpc.TreeServiceStub(channel),
            )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        if process.stdout:
            process.stdout.close()


def test_everything_works_without_any_privilege(open_bed: Bed, served: Stubs, make_entry: Any) -> None:
    file = served.upload(b"a kernel")
    network = boot_entry_pb2.NetworkTarget(kernel_digest=file.digest, arguments="ro")
    targets: list[dict[str, Any]] = [
        {"network": network},
        {"label": boot_entry_pb2.LabelTarget(label="deploy")},
        {"chainload": boot_entry_pb2.ChainloadTarget(disk=0, partition=3)},
        {"custom": boot_entry_pb2.CustomTarget(text="DEFAULT x\n")},
    ]
    if Path("/usr/lib/grub/i386-pc/lnxboot.img").exists():
        disk = boot_entry_pb2.GrubDiskTarget(device="sda", partition=3, kernel_path="/vmlinuz")
        targets.append({"grub_disk": disk})
    results = served.set(*(make_entry(number, **target) for number, target in enumerate(targets, start=1)))
    assert [result.status.message for result in results] == [""] * len(targets)
    (open_bed.first / "pxelinux.cfg" / "AC1F0001").unlink()
    found = served.tree.ReconcileTree(bootctl_service_pb2.ReconcileTreeRequest(repair=True), timeout=30).findings
    assert [finding.path for finding in found if finding.repaired] == ["PXEClient/pxelinux.cfg/AC1F0001"]
    cleared = served.boot.ClearBootEntries(bootctl_service_pb2.ClearBootEntriesRequest(nodes="node-1"), timeout=30)
    assert [result.status.code for result in cleared.results] == [0]
    served.files.DeleteUnusedBootFiles(bootctl_service_pb2.DeleteUnusedBootFilesRequest(), timeout=30)
    owners = {path.stat().st_uid for path in (open_bed.first / "pxelinux.cfg").glob("01-*")}
    assert owners == {USER}


def test_nothing_else_can_be_written(open_bed: Bed) -> None:
    bed = open_bed
    mine = writable(bed)
    # Open for everybody, but not to this process.
    others = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/etc", "/root", "/srv", "/usr/local", "/"]  # noqa: S108
    others += [str(bed.tftp_root), str(bed.first), str(bed.second), str(bed.directory)]
    command = confined(bed, sys.executable, "-c", WRITER, *map(str, mine), *others)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(path) for path in mine]
