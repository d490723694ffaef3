"""The deployment environment and the tiny environment on one machine, without PXE and without the services.

What is proven here: they boot, and what the deployer runs in them does what it is meant to. No root is needed.
"""

import os
import re
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from environments.build import CACHE as ENVIRONMENTS_CACHE
from environments.build import build as build_environment

from kadeploy_deployenv.build import BuildRequest, build
from kadeploy_deployenv.workspace import read_manifest

pytestmark = pytest.mark.lab

# Ten times what a quiet machine needs: others may be at work on this one.
BOOT_SECONDS = 120
PROGRAMS = (
    "blkid", "blockdev", "bzip2", "dmsetup", "efibootmgr", "gzip", "kabroadcast", "kexec", "lvm", "mdadm",
    "mkfs.btrfs", "mkfs.ext2", "mkfs.ext3", "mkfs.ext4", "mkfs.vfat", "mkfs.xfs", "mkswap", "modprobe", "partprobe",
    "python3", "reboot", "sfdisk", "tar", "udevadm", "wipefs", "xz", "zstd",
)  # fmt: skip
CACHE = ENVIRONMENTS_CACHE / "deployenv"
VIRTIO_CARD = "virtio-net-pci,netdev=n0"
PREPARE = """set -e
printf 'label: dos\\n,64M,L\\n,128M,S\\n,600M,L\\n,,L\\n' | sfdisk -q /dev/vda
udevadm settle --timeout=10
blockdev --rereadpt /dev/vda
mkswap /dev/vda2
mkfs.ext2 -q /dev/vda4
mkfs.ext4 -q /dev/vda3
mount /dev/vda3 /mnt/dest
"""
POSTINSTALL = """set -e
tar -xzf - -C /rambin
export KADEPLOY_ENV=tiny KADEPLOY_NODE=node-7.lab KADEPLOY_ENV_EXTRACTION_DIR=/mnt/dest
export KADEPLOY_BLOCK_DEVICE=/dev/vda KADEPLOY_DEPLOY_PART=/dev/vda3 KADEPLOY_DEPLOY_PART_NUM=3
export KADEPLOY_SWAP_PART_NUM=2 KADEPLOY_TMP_PART_NUM=4
/rambin/traitement.ash /rambin
install -d -m 700 /mnt/dest/root/.ssh
install -m 600 /root/.ssh/authorized_keys /mnt/dest/root/.ssh/authorized_keys
cat /mnt/dest/etc/ssh/ssh_host_ed25519_key.pub
umount /mnt/dest
"""


class Machine:
    """A QEMU machine with a disk, a serial log, and its port 22 on loopback."""

    def __init__(self, folder: Path, *, key: Path) -> None:
        self._folder = folder
        self._key = key
        self._port = _free_port()
        self.disk = folder / "disk.img"
        self.console = folder / "console.log"
        with self.disk.open("wb") as file:
            file.truncate(1 << 30)

    @contextmanager
    def booted(
        self,
        kernel: Path,
        initrd: Path,
        arguments: str,
        *,
        host_key: str,
        cards: Sequence[str] = (VIRTIO_CARD,),
        disk: bool = True,
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """Boots the machine; the host key is the only one that `run` will accept.

        `cards` are QEMU's words for its network cards. "n0" is the network with the way in; "n1" answers DHCP too;
        nobody is on "n2".
        """
        (self._folder / "known_hosts").write_text(f"machine {host_key}\n")
        self.console.write_bytes(b"")
        disk_words = (
            "-drive", f"file={self.disk},format=raw,if=none,id=d0,cache=unsafe", "-device", "virtio-blk-pci,drive=d0",
        )  # fmt: skip
        process = subprocess.Popen(
            [
                # If this process is killed, the machine goes with it.
                "setpriv", "--pdeathsig", "KILL",
                "qemu-system-x86_64", "-nodefaults", "-machine", "pc", "-accel", "tcg,thread=multi,tb-size=64",
                "-cpu", "max", "-m", "384", "-display", "none", "-no-reboot", "-kernel", str(kernel),
                "-initrd", str(initrd),
                "-append", f"console=ttyS0,115200 quiet mitigations=off no_timer_check {arguments}",
                "-netdev", f"user,id=n0,ipv6=off,restrict=on,hostfwd=tcp:127.0.0.1:{self._port}-:22",
                "-netdev", "user,id=n1,ipv6=off,restrict=on", "-netdev", "hubport,id=n2,hubid=2",
                *(word for card in cards for word in ("-device", card)), "-device", "virtio-rng-pci",
                *(disk_words if disk else ()),
                "-chardev", f"file,id=serial,path={self.console}", "-serial", "chardev:serial",
            ],
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=30)

    def wait_for(self, text: str) -> None:
        """Waits until the text stands on the console."""
        deadline = time.monotonic() + BOOT_SECONDS
        while text not in self.console.read_text(errors="replace"):
            if time.monotonic() > deadline:
                pytest.fail(f"no {text!r} on the console:\n{self.console.read_text(errors='replace')}")
            time.sleep(0.2)

    def wait_for_ssh(self) -> None:
        """Waits until the machine lets us in."""
        deadline = time.monotonic() + BOOT_SECONDS
        while (done := self._ssh("true", Path(os.devnull))).returncode != 0:
            if time.monotonic() > deadline:
                pytest.fail(f"no way in: {done.stderr}\n{self.console.read_text(errors='replace')}")
            time.sleep(0.5)

    def run(self, command: str, *, stdin: Path | None = None) -> str:
        """Runs a command over SSH and returns what it prints."""
        done = self._ssh(command, stdin or Path(os.devnull))
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def _ssh(self, command: str, stdin: Path) -> subprocess.CompletedProcess[str]:
        argv = [
            "ssh", "-F", "/dev/null", "-i", str(self._key), "-p", str(self._port), "-o", "BatchMode=yes",
            "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=30", "-o", "StrictHostKeyChecking=yes",
            "-o", f"UserKnownHostsFile={self._folder / 'known_hosts'}", "-o", "HostKeyAlias=machine",
            "root@127.0.0.1", command,
        ]  # fmt: skip
        with stdin.open("rb") as source:
            return subprocess.run(argv, stdin=source, capture_output=True, text=True, timeout=BOOT_SECONDS, check=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _kernel_and_initrd(environment: Path, folder: Path) -> tuple[Path, Path]:
    archive = folder / "image.tar"
    subprocess.run(["zstd", "-dqf", str(environment / "tiny.tar.zst"), "-o", str(archive)], check=True, timeout=60)
    with tarfile.open(archive) as tar:
        for name in ("vmlinuz", "initrd.img"):
            member = tar.extractfile(f"./boot/{name}")
            assert member is not None
            (folder / name).write_bytes(member.read())
    return folder / "vmlinuz", folder / "initrd.img"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """A built deployment environment, and the private key that opens it."""

    folder: Path
    key: Path
    hook: Path

    def request(self, output: Path, cache: Path) -> BuildRequest:
        """What it is built from."""
        key = self.key.with_suffix(".pub")
        return BuildRequest(output=output, authorized_key=key, cache=cache, hook=self.hook, modules=("loop",))

    @property
    def files(self) -> tuple[Path, Path]:
        """Kernel and initramfs."""
        return self.folder / "vmlinuz", self.folder / "initrd.img"

    @property
    def host_key(self) -> str:
        """The public host key."""
        return (self.folder / "ssh_host_ed25519_key.pub").read_text().strip()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("environment")
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=30)
    hook = folder / "hook"
    (hook / "files/etc").mkdir(parents=True)
    (hook / "files/etc/site").write_text("ours\n")
    (hook / "start.d").mkdir()
    for name, text in START_SCRIPTS.items():
        (hook / "start.d" / name).write_text(text)
    environment = Environment(folder=folder / "deployenv", key=key, hook=hook)
    build(environment.request(environment.folder, CACHE))
    return environment


def test_a_blank_disk_becomes_a_system_that_boots(environment: Environment, tmp_path: Path) -> None:
    deployenv, key = environment.folder, environment.key
    tiny = tmp_path / "tiny"
    build_environment("tiny", output=tiny, cache=ENVIRONMENTS_CACHE)
    manifest = read_manifest(deployenv)
    machine = Machine(tmp_path, key=key)

    known = (deployenv / "ssh_host_ed25519_key.pub").read_text().strip()
    arguments = "kadeploy.node=node-7 kadeploy.token=first"
    with machine.booted(deployenv / "vmlinuz", deployenv / "initrd.img", arguments, host_key=known):
        machine.wait_for("kadeploy: deployment environment ready (")
        machine.wait_for_ssh()
        missing = machine.run(f"for each in {' '.join(PROGRAMS)}; do command -v $each >/dev/null || echo $each; done")
        names = machine.run("hostname; uname -r; cat /proc/cmdline; tar --version").splitlines()
        console = machine.console.read_text(errors="replace")
        machine.run("modprobe loop && test -d /sys/module/loop")
        machine.run(PREPARE)
        machine.run("tar --zstd -xpf - --numeric-owner -C /mnt/dest", stdin=tiny / "tiny.tar.zst")
        host_key = machine.run(POSTINSTALL, stdin=tiny / "tiny-postinstall.tgz").strip()
        machine.run("(sleep 0.2; reboot -f) >/dev/null 2>&1 &")

    assert missing == ""
    assert "the site's script runs: ours eth0 10.0.2.15" in console
    assert "kadeploy: start.d/20-fail failed with status 3" in console
    assert names[:2] == ["node-7", manifest["kernel"]]
    assert "kadeploy.token=first" in names[2]
    assert "GNU tar" in names[3]

    kernel, initrd = _kernel_and_initrd(tiny, tmp_path)
    with machine.booted(kernel, initrd, "root=/dev/vda3 rw kadeploy.token=second", host_key=host_key):
        machine.wait_for("tiny: started as node-7 on /dev/vda3")
        machine.wait_for_ssh()
        found = machine.run("hostname; grep -c '^/dev/vda3 / ext4 rw' /proc/mounts; cat /etc/kadeploy-release")
        swap = machine.run("cat /proc/swaps; grep ' /tmp ' /proc/mounts; stat -c %a /tmp")
        machine.run("reboot")
        machine.wait_for("Restarting system")

    assert found.splitlines() == ["node-7", "1", "environment=tiny", "node=node-7.lab", "partition=/dev/vda3"]
    assert "/dev/vda2" in swap
    assert "/dev/vda4 /tmp ext2" in swap
    assert swap.splitlines()[-1] == "1777"


START_SCRIPTS = {
    "10-say": '#!/bin/sh\necho "the site\'s script runs: $(cat /etc/site) $(cat /run/address)"\n',
    "20-fail": "#!/bin/sh\nexit 3\n",
}
STACK = """set -e
printf 'label: gpt\\n,200M\\n,200M\\n,100M,S\\n' | sfdisk -q /dev/vda
udevadm settle --timeout=10
blockdev --rereadpt /dev/vda
udevadm settle
mdadm --create /dev/md7 --run --level=1 --raid-devices=2 --metadata=1.0 /dev/vda1 missing >/dev/null 2>&1
lvm pvcreate -qq /dev/md7
lvm vgcreate -qq group /dev/md7
lvm lvcreate -qq -y -n volume -L 64M group
mkfs.ext4 -q /dev/group/volume
mkdir -p '/mnt/in use'
mount /dev/group/volume '/mnt/in use'
mkfs.btrfs -q /dev/vda2
mkswap -q /dev/vda3
swapon /dev/vda3
"""


def test_a_disk_is_taken_out_of_all_use_and_nothing_of_it_comes_back(environment: Environment, tmp_path: Path) -> None:
    machine = Machine(tmp_path, key=environment.key)
    with machine.booted(*environment.files, "", host_key=environment.host_key):
        machine.wait_for("kadeploy: deployment environment ready (")
        machine.wait_for_ssh()
        machine.run(STACK)
        stood = machine.run("lsblk -nro NAME /dev/vda").split()
        open_file = "exec 3<'/mnt/in use/lost+found'; kadeploy-release-disk /dev/vda 2>&1; echo $?"
        busy = machine.run(open_file).splitlines()
        machine.run("kadeploy-release-disk /dev/vda")
        left = machine.run("lsblk -nro NAME /dev/vda; cat /proc/swaps /proc/mdstat; dmsetup ls; wipefs /dev/vda")
        machine.run("udevadm trigger --action=add; udevadm settle")
        again = machine.run("lsblk -nro NAME /dev/vda")
        # The same places as before: what stood at the ends of partitions would show itself.
        machine.run(
            "printf 'label: gpt\\n,200M\\n,200M\\n,100M,S\\n' | sfdisk -q --wipe never /dev/vda; udevadm settle"
        )
        signatures = machine.run("blkid -p -s TYPE -o value /dev/vda1 /dev/vda2 /dev/vda3 || true")
        strange = machine.run("kadeploy-release-disk /dev/vda1 2>&1; kadeploy-release-disk /dev/nothing 2>&1; true")
    assert stood == ["vda", "vda1", "md7", "group-volume", "vda2", "vda3"]
    assert busy[-1] == "1"
    assert "/dev/dm-0 is mounted on /mnt/in use and in use" in busy[0]
    assert left.split("\n", 1)[0] == "vda"
    assert not {"md7", "group-volume", "vda1", "vda3"} & set(left.split())
    assert again.split() == ["vda"]
    assert signatures == ""
    assert strange.splitlines() == [
        "kadeploy-release-disk: /dev/vda1 is a partition; name its disk",
        "kadeploy-release-disk: /dev/nothing is no block device here",
    ]


def test_two_builds_of_the_same_are_the_same(environment: Environment, tmp_path: Path) -> None:
    again = tmp_path / "cache"
    again.mkdir()
    # What was fetched is shared, what is made of it is made anew.
    for name in ("ssh_host_ed25519_key", *(path.name for path in CACHE.glob("packages-virtual-*"))):
        (again / name).symlink_to(CACHE / name)
    for wheel in CACHE.glob("wheel-*"):
        (again / wheel.name).symlink_to(wheel)
    output = tmp_path / "again"
    assert build(environment.request(output, again))
    assert read_manifest(output) == read_manifest(environment.folder)


def test_the_card_that_the_machine_booted_from_is_used_and_the_other_stays_down(
    environment: Environment, tmp_path: Path
) -> None:
    machine = Machine(tmp_path, key=environment.key)
    cards = ("virtio-net-pci,netdev=n1,mac=52:54:00:00:00:0a", "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:0b")
    with machine.booted(*environment.files, "BOOTIF=01-52-54-00-00-00-0B", host_key=environment.host_key, cards=cards):
        machine.wait_for("kadeploy: deployment environment ready (")
        machine.wait_for_ssh()
        flags = machine.run("cat /sys/class/net/eth0/flags /sys/class/net/eth1/flags").split()
        addresses = machine.run("cat /sys/class/net/eth1/address; ip -4 -o address show | awk '{print $2}'").split()
    assert [int(word, 16) & 1 for word in flags] == [0, 1]
    assert addresses == ["52:54:00:00:00:0b", "lo", "eth1"]


def test_a_card_without_a_driver_is_named_and_the_machine_starts_anew(environment: Environment, tmp_path: Path) -> None:
    machine = Machine(tmp_path, key=environment.key)
    arguments = "kadeploy.reboot_after=1"
    with machine.booted(
        *environment.files, arguments, host_key=environment.host_key, cards=["e1000e,netdev=n0,addr=5"]
    ) as process:
        assert process.wait(BOOT_SECONDS) == 0
    console = machine.console.read_text(errors="replace")
    assert "kadeploy: no network card\n" in console.replace("\r", "")
    assert "kadeploy: no driver for the network card 0000:00:05.0 (8086:10d3): " in console
    assert re.search(r"kadeploy: no network after \d+ s: the machine starts anew", console)


def test_a_card_that_nobody_answers_is_asked_again_until_the_machine_starts_anew(
    environment: Environment, tmp_path: Path
) -> None:
    machine = Machine(tmp_path, key=environment.key)
    with machine.booted(
        *environment.files,
        "kadeploy.reboot_after=60",
        host_key=environment.host_key,
        cards=["virtio-net-pci,netdev=n2,mac=52:54:00:00:00:0a"],
    ) as process:
        assert process.wait(BOOT_SECONDS) == 0
    console = machine.console.read_text(errors="replace")
    assert console.count("kadeploy: no DHCP answer on eth0 (52:54:00:00:00:0a, virtio_net)") >= 2
    assert "kadeploy: no network yet; trying again in 5 s" in console
    assert re.search(r"kadeploy: no network after \d+ s: the machine starts anew", console)


def test_a_machine_without_a_disk_can_be_looked_at_and_starts_anew(environment: Environment, tmp_path: Path) -> None:
    machine = Machine(tmp_path, key=environment.key)
    arguments = "kadeploy.disk_wait=3 kadeploy.reboot_after=45"
    with machine.booted(*environment.files, arguments, host_key=environment.host_key, disk=False) as process:
        machine.wait_for("kadeploy: deployment environment ready (")
        machine.wait_for_ssh()
        console = machine.console.read_text(errors="replace")
        assert process.wait(BOOT_SECONDS) == 0
    assert "kadeploy: no disk found; looking again in 5 s" in console
    assert "kadeploy: there is still no disk; sshd starts, and the search goes on" in console
    assert re.search(r"kadeploy: no disk after \d+ s: the machine starts anew", machine.console.read_text())
