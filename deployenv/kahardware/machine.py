"""This machine without its disks: processors, memory, network cards, firmware, consoles, management controller."""

import re
import subprocess
from pathlib import Path

BMC_SECONDS = 20
_BMC_ADDRESS = re.compile(r"^IP Address\s*:\s*([0-9.]+)\s*$", re.MULTILINE)


def machine(root: str = "") -> dict[str, object]:
    """Returns what the machine is made of. `root`: of the file systems that are read."""
    dmi = f"{root}/sys/class/dmi/id"
    command_line = _read(f"{root}/proc/cmdline")
    return {
        "node": _argument(command_line, "kadeploy.node"),
        "boot_id": _read(f"{root}/proc/sys/kernel/random/boot_id"),
        "uuid": _read(f"{dmi}/product_uuid").lower(),
        "vendor": _read(f"{dmi}/sys_vendor"),
        "product": _read(f"{dmi}/product_name"),
        "serial": _read(f"{dmi}/product_serial"),
        "firmware": "uefi" if Path(f"{root}/sys/firmware/efi").is_dir() else "bios",
        "memory_bytes": _memory(_read(f"{root}/proc/meminfo")),
        **_processors(_read(f"{root}/proc/cpuinfo")),
        "console": _console(command_line),
        "cards": cards(root),
    }


def cards(root: str) -> list[dict[str, object]]:
    """Returns the network cards, those with a device behind them."""
    route = _read(f"{root}/proc/net/route").splitlines()
    default = {words[0] for line in route[1:] if len(words := line.split()) > 1 and words[1] == "00000000"}
    found: list[dict[str, object]] = []
    for path in sorted(Path(f"{root}/sys/class/net").glob("*")):
        device = path / "device"
        if device.exists():
            found.append(
                {
                    "name": path.name,
                    "mac_address": _read(f"{path}/address").lower(),
                    "driver": (device / "driver").resolve().name,
                    "path": device.resolve().name,
                    "is_boot_card": path.name in default,
                }
            )
    return found


def controller_address() -> str:
    """Returns the IPv4 address of the machine's management controller; empty where nobody can say it."""
    if not Path("/dev/ipmi0").exists():
        return ""
    try:
        done = subprocess.run(
            ("ipmitool", "lan", "print"), capture_output=True, text=True, check=True, timeout=BMC_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    found = _BMC_ADDRESS.search(done.stdout)
    return found[1] if found and found[1] != "0.0.0.0" else ""


def _processors(text: str) -> dict[str, object]:
    """Returns the number of logical processors and of sockets, and the model's name."""
    pairs = [line.partition(":") for line in text.splitlines()]
    values = [(key.strip(), value.strip()) for key, _, value in pairs]
    sockets = {value for key, value in values if key == "physical id"}
    return {
        "processors": sum(key == "processor" for key, _ in values),
        "sockets": len(sockets) or 1,
        "processor_model": next((value for key, value in values if key == "model name"), ""),
    }


def _memory(text: str) -> int:
    found = re.search(r"^MemTotal:\s*(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _console(command_line: str) -> str:
    """Returns the serial console that the kernel uses, "ttyS0,115200"; empty where there is none."""
    named = [word.removeprefix("console=") for word in command_line.split() if word.startswith("console=ttyS")]
    return named[-1] if named else ""


def _argument(command_line: str, name: str) -> str:
    values = [word.removeprefix(f"{name}=") for word in command_line.split() if word.startswith(f"{name}=")]
    return values[-1] if values else ""


def _read(path: str) -> str:
    try:
        with Path(path).open(errors="replace") as file:
            return file.read(1 << 20).strip()
    except OSError:
        return ""
