"""The deployment environment and the tiny environment on one machine, without PXE and without the services.

What is proven here: they boot, and what the deployer runs in them does what it is meant to. No root is needed.
"""

import json
import os
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from environments.build import CACHE as ENVIRONMENTS_CACHE
from environments.build import build as build_environment

from deployenv.build import CACHE, build

pytestmark = pytest.mark.lab

# Ten times what a quiet machine needs: others may be at work on this one.
BOOT_SECONDS = 120
PROGRAMS = (
    "blkid", "blockdev", "bzip2", "gzip", "kabroadcast", "kexec", "mkfs.btrfs", "mkfs.ext2", "mkfs.ext3",
    "mkfs.ext4", "mkfs.vfat", "mkfs.xfs", "mkswap", "partprobe", "python3", "reboot", "sfdisk", "tar", "wipefs",
    "xz", "zstd",
)  # fmt: skip
PREPARE = """set -e
printf 'label: dos\\n,64M,L\\n,128M,S\\n,600M,L\\n,,L\\n' | sfdisk -q /dev/vda
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
    def booted(self, kernel: Path, initrd: Path, arguments: str, *, host_key: str) -> Iterator[None]:
        """Boots the machine; the host key is the only one that `run` will accept."""
        (self._folder / "known_hosts").write_text(f"machine {host_key}\n")
        self.console.write_bytes(b"")
        process = subprocess.Popen(
            [
                # If this process is killed, the machine goes with it.
                "setpriv", "--pdeathsig", "KILL",
                "qemu-system-x86_64", "-nodefaults", "-machine", "pc", "-accel", "tcg,thread=multi,tb-size=64",
                "-cpu", "max", "-m", "384", "-display", "none", "-no-reboot", "-kernel", str(kernel),
                "-initrd", str(initrd),
                "-append", f"console=ttyS0,115200 quiet mitigations=off net.ifnames=0 {arguments}",
                "-netdev", f"user,id=n0,ipv6=off,restrict=on,hostfwd=tcp:127.0.0.1:{self._port}-:22",
                "-device", "virtio-net-pci,netdev=n0", "-device", "virtio-rng-pci",
                "-drive", f"file={self.disk},format=raw,if=none,id=d0,cache=unsafe",
                "-device", "virtio-blk-pci,drive=d0",
                "-chardev", f"file,id=serial,path={self.console}", "-serial", "chardev:serial",
            ],
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield
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


def test_a_blank_disk_becomes_a_system_that_boots(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=30)
    deployenv = tmp_path / "deployenv"
    tiny = tmp_path / "tiny"
    build(output=deployenv, authorized_key=key.with_suffix(".pub"), cache=CACHE)
    build_environment("tiny", output=tiny, cache=ENVIRONMENTS_CACHE)
    manifest = json.loads((deployenv / "manifest.json").read_text())
    machine = Machine(tmp_path, key=key)

    known = (deployenv / "ssh_host_ed25519_key.pub").read_text().strip()
    arguments = "kadeploy.node=node-7 kadeploy.token=first"
    with machine.booted(deployenv / "vmlinuz", deployenv / "initrd.img", arguments, host_key=known):
        machine.wait_for("kadeploy: deployment environment ready (")
        machine.wait_for_ssh()
        missing = machine.run(f"for each in {' '.join(PROGRAMS)}; do command -v $each >/dev/null || echo $each; done")
        names = machine.run("hostname; uname -r; cat /proc/cmdline; tar --version").splitlines()
        machine.run(PREPARE)
        machine.run("tar --zstd -xpf - --numeric-owner -C /mnt/dest", stdin=tiny / "tiny.tar.zst")
        host_key = machine.run(POSTINSTALL, stdin=tiny / "tiny-postinstall.tgz").strip()
        machine.run("(sleep 0.2; reboot -f) >/dev/null 2>&1 &")

    assert missing == ""
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
