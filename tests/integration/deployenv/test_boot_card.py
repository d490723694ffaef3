"""Which network card a machine booted from: the real script of the deployment environment, on files of this test."""

import re
import subprocess
from pathlib import Path

import pytest

from kadeploy_deployenv.system import ROOTFS

pytestmark = pytest.mark.integration

SCRIPTS = ROOTFS / "usr/lib/kadeploy"
# What efibootmgr 17 printed on a machine of the lab.
EFIBOOTMGR = """#!/bin/sh
echo 'BootCurrent: 0003'
echo 'Timeout: 0 seconds'
echo 'BootOrder: 0001,0003'
[ "$1" != -v ] || verbose=1
echo "Boot0001* installed${verbose:+	HD(2,MBR,0x1234,0x100000,0x200000)/File(\\\\EFI\\\\installed\\\\grubx64.efi)}"
echo "Boot0003* UEFI PXEv4${verbose:+	PciRoot(0x0)/Pci(0x2,0x0)/MAC(5254004B0001,1)/IPv4(0.0.0.0,0,0)N.....YM.}"
"""


def boot_address(tmp_path: Path, command_line: str, *, uefi: bool = False) -> str:
    """Returns what the script takes for the card's address."""
    (tmp_path / "cmdline").write_text(command_line)
    if uefi:
        (tmp_path / "efivars").mkdir()
    program = tmp_path / "efibootmgr"
    program.write_text(EFIBOOTMGR)
    program.chmod(0o755)
    function = re.search(r"^boot_address\(\) \{.*?^\}", (SCRIPTS / "network").read_text(), re.MULTILINE | re.DOTALL)
    assert function is not None
    script = f"{(SCRIPTS / 'console-line').read_text()}\nPATH={tmp_path}:$PATH\n{function[0]}\nboot_address\n"
    for path, own in (("/proc/cmdline", "cmdline"), ("/sys/firmware/efi/efivars", "efivars")):
        script = script.replace(path, str(tmp_path / own))
    done = subprocess.run(["dash", "-c", script], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    "word",
    [
        "BOOTIF=01-52-54-00-4b-00-02",
        "BOOTIF=01-52-54-00-4B-00-02",
        "BOOTIF=52:54:00:4b:00:02",
        "BOOTIF=01-52:54:00:4b:00:02",
    ],
)
@pytest.mark.parametrize("uefi", [False, True])
def test_what_the_loader_says_comes_first(tmp_path: Path, word: str, uefi: bool) -> None:
    line = f"console=ttyS0 {word} kadeploy.node=node-2\n"
    assert boot_address(tmp_path, line, uefi=uefi) == "52:54:00:4b:00:02"


def test_without_a_word_of_the_loader_the_firmware_says_it(tmp_path: Path) -> None:
    assert boot_address(tmp_path, "quiet\n", uefi=True) == "52:54:00:4b:00:01"


def test_a_machine_with_a_bios_and_no_word_of_the_loader_knows_nothing(tmp_path: Path) -> None:
    assert boot_address(tmp_path, "quiet\n") == ""
