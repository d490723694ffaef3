"""Ways to boot on real machines, side by side in one lab: BIOS by a GRUB image, UEFI by GRUB, BIOS by a chainload.

Each way ends in the deployed system, which says itself what it is.
"""

import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy.deployer.v1 import deployer_service_pb2, deployer_service_pb2_grpc, deployment_pb2
from kadeploy_demo.node_login import NodeAnswer, ask_node
from kadeploy_demo.run import lab_site
from kadeploy_demo.story import Build, Story
from kadeploy_lab import Lab
from kadeploy_rpckit.channel import open_channel

pytestmark = pytest.mark.lab

CHECKOUT = Path(__file__).resolve().parents[2]
TINY = CHECKOUT / "build" / "environments" / "tiny" / "tiny.env"
GRUB = Path("/usr/lib/grub/i386-pc")
SECTOR = 512
SECONDS = 600.0

ENDED = {deployment_pb2.DEPLOYMENT_STATE_TERMINATED, deployment_pb2.DEPLOYMENT_STATE_ERROR}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    directory = tmp_path_factory.mktemp("boot-methods")
    build = Build(
        deployment_environment=CHECKOUT / "build" / "deployenv",
        environment="tiny",
        description=TINY,
        cluster_key=CHECKOUT / "build" / "keys" / "cluster_ed25519",
    )
    lab = Lab.up("boot-methods", directory / "lab", node_count=2, firmware={"node-2": "uefi"}, owner_pid=os.getpid())
    site = lab_site(lab, build, directory / "services")
    try:
        site.write_settings()
        site.write_client_settings("root")
        site.prepare_tree()
        site.start()
        story = Story(lab=lab, site=site, build=build, directory=directory, say=print)
        story.describe_cluster()
        story.administrator.run("ka", "node", "update", "node-2", "--firmware", "uefi")
        yield story
    finally:
        try:
            site.stop()
        finally:
            lab.down()


@pytest.fixture(scope="module")
def deployed(story: Story) -> dict[str, deployment_pb2.Deployment]:
    """What became of the two deployments, by node. They run at the same time."""
    methods = {"node-1": deployment_pb2.BOOT_METHOD_GRUB, "node-2": deployment_pb2.BOOT_METHOD_NETWORK}
    with open_channel(story.site.addresses["deployer"], caller="user:root") as channel:
        stub = deployer_service_pb2_grpc.DeploymentServiceStub(channel)
        names: dict[str, str] = {}
        for node, method in methods.items():
            spec = deployment_pb2.DeploymentSpec(
                nodes=node, environment_name="tiny", boot_method=method, write_partition_table=True
            )
            request = deployer_service_pb2.CreateDeploymentRequest(request_id=str(uuid.uuid4()), spec=spec)
            names[node] = stub.CreateDeployment(request, timeout=30).id
        deadline = time.monotonic() + SECONDS
        while True:
            found = {
                node: stub.GetDeployment(deployer_service_pb2.GetDeploymentRequest(id=name), timeout=30)
                for node, name in names.items()
            }
            if all(one.state in ENDED for one in found.values()):
                return found
            assert time.monotonic() < deadline, "the deployments do not end"
            time.sleep(1)


def answer_of(story: Story, deployed: dict[str, deployment_pb2.Deployment], name: str) -> NodeAnswer:
    """Logs in on a node with the host keys of its deployment."""
    told = deployed[name].nodes[0]
    assert told.state == deployment_pb2.PARTITION_STATE_DEPLOYED, told.description
    return ask_node(
        story.lab.node(name).ip,
        host_keys=list(told.host_keys),
        private_key=story.build.cluster_key,
        known_hosts=story.directory / f"known_hosts.{name}",
        wrap=story.lab.exec_argv,
    )


def fetched(story: Story) -> str:
    return (story.lab.directory / "tftpd.log").read_text(errors="replace")


def test_a_bios_machine_boots_its_new_system_by_a_grub_image_from_its_disk(
    story: Story, deployed: dict[str, deployment_pb2.Deployment]
) -> None:
    answer = answer_of(story, deployed, "node-1")
    assert (answer.root_device, answer.host_name) == ("/dev/vda3", "node-1")
    # The kernel that GRUB read from the disk, not one that came over the network.
    assert "BOOT_IMAGE=(hd0,3)/boot/vmlinuz" in answer.kernel_command_line
    assert ".lkrn" in fetched(story)


def test_a_uefi_machine_boots_both_systems_by_grub(
    story: Story, deployed: dict[str, deployment_pb2.Deployment]
) -> None:
    answer = answer_of(story, deployed, "node-2")
    assert (answer.root_device, answer.host_name) == ("/dev/vda3", "node-2")
    assert "PXEClient/images_grub/sha256-" in answer.kernel_command_line
    assert "BOOTIF=01-52-54-00-4b-00-02" in answer.kernel_command_line
    log = fetched(story)
    assert "PXEClient/grubx64.efi" in log
    assert "pxelinux.cfg/grub.cfg-01-52-54-00-4b-00-02" in log


def test_no_machine_is_deployed_again_by_its_next_boot(
    story: Story, deployed: dict[str, deployment_pb2.Deployment]
) -> None:
    assert {one.state for one in deployed.values()} == {deployment_pb2.DEPLOYMENT_STATE_TERMINATED}
    with open_channel(story.site.addresses["bootctl"], caller="user:root") as channel:
        stub = bootctl_service_pb2_grpc.BootServiceStub(channel)
        found = stub.ListBootEntries(bootctl_service_pb2.ListBootEntriesRequest(), timeout=30).entries
    # The new system, and not the deployment environment that stood there before.
    assert {entry.node.name: entry.target.WhichOneof("kind") for entry in found} == {
        "node-1": "grub_disk",
        "node-2": "network",
    }


def test_a_bios_machine_chainloads_the_boot_sector_of_its_partition(
    story: Story, deployed: dict[str, deployment_pb2.Deployment]
) -> None:
    before = answer_of(story, deployed, "node-1")
    node = story.lab.node("node-1")
    power = [*story.lab.ipmi_argv(node, ["chassis", "power"])]
    subprocess.run(story.lab.exec_argv([*power, "off"]), check=True, timeout=30)
    assert not story.lab.has_power(node)
    write_own_loader(node.disk, story.directory)
    entry = boot_entry_pb2.BootEntry(
        node=boot_entry_pb2.BootNode(name=node.name, mac_address=node.mac, ip_address=node.ip),
        target=boot_entry_pb2.BootTarget(chainload=boot_entry_pb2.ChainloadTarget(disk=0, partition=3)),
        owner="the test",
    )
    with open_channel(story.site.addresses["bootctl"], caller="user:root") as channel:
        stub = bootctl_service_pb2_grpc.BootServiceStub(channel)
        request = bootctl_service_pb2.SetBootEntriesRequest(entries=[entry])
        assert stub.SetBootEntries(request, timeout=30).results[0].status.code == 0
    subprocess.run(story.lab.exec_argv([*power, "on"]), check=True, timeout=30)
    answer = answer_of(story, deployed, "node-1")
    assert answer.boot_id != before.boot_id
    assert "own.loader=1" in answer.kernel_command_line
    assert answer.root_device == "/dev/vda3"


def write_own_loader(disk: Path, directory: Path) -> None:
    """Puts GRUB on a machine's disk, as a site's own loader: its first sector into partition 3, the rest before it."""
    configuration, core = directory / "own.cfg", directory / "own.img"
    kernel = (
        "linux (hd0,3)/boot/vmlinuz root=/dev/vda3 rw console=ttyS0,115200 net.ifnames=0 mitigations=off own.loader=1"
    )
    configuration.write_text(f"{kernel}\ninitrd (hd0,3)/boot/initrd.img\nboot\n")
    modules = ["biosdisk", "part_msdos", "ext2", "normal", "linux", "boot"]
    make = ["grub-mkimage", "-O", "i386-pc", "-p", "/", "-c", str(configuration), "-o", str(core), *modules]
    subprocess.run(make, check=True, timeout=60)
    with disk.open("r+b") as file:
        table = file.read(SECTOR)
        # The third entry of the partition table: its first sector.
        start = int.from_bytes(table[446 + 2 * 16 + 8 : 446 + 2 * 16 + 12], "little")
        first = int.from_bytes(table[446 + 8 : 446 + 12], "little")
        assert table[510:] == b"\x55\xaa"
        assert core.stat().st_size < (first - 1) * SECTOR
        # boot.img looks for the rest in the disk's second sector unless an installer says otherwise.
        file.seek(SECTOR)
        file.write(core.read_bytes())
        file.seek(start * SECTOR)
        file.write((GRUB / "boot.img").read_bytes())
