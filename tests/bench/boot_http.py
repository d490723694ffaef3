"""How long machines take into the deployment environment, kernels by TFTP and by HTTP.

`python -m tests.bench.boot_http`, as root. Measured is from power-on until the environment says that it is ready, for a
machine with a BIOS and one with UEFI, one after the other on an otherwise idle lab; and, by `boot_crowd`, kernel and
initrd alone for many machines at once and for one at a distance.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kadeploy_bootctl import bootstrap
from kadeploy_bootctl.app.ports import WrittenEntry
from kadeploy_bootctl.domain.boot_entry import BootEntry, BootNode, Firmware
from kadeploy_bootctl.domain.boot_target import LabelTarget
from kadeploy_bootctl.domain.label import KernelLabel
from kadeploy_bootctl.render.loader_file import render
from kadeploy_bootctl.settings import Settings
from kadeploy_bootctl.tree.entry_store import TftpEntryStore
from kadeploy_bootctl.tree.installer import install_label, lay_out
from kadeploy_lab import Lab, LabNode
from tests.bench import boot_crowd
from tests.bench.machine import machine, save, table

BUILD = Path(__file__).parents[2] / "build" / "deployenv"
READY = b"kadeploy: deployment environment ready"
ARGUMENTS = "console=ttyS0,115200 net.ifnames=0 mitigations=off quiet"
LABEL = KernelLabel(name="deploy", kernel="deploy-vmlinuz", initrd="deploy-initrd", arguments=ARGUMENTS)
SECONDS = 300.0
FILES = ("vmlinuz", "initrd.img")
FIRMWARES = {"node-1": "bios", "node-2": "uefi"}


def main() -> int:
    """Measures, prints and writes build/bench/boot_http.json."""
    took: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="kadeploy-boot-http-") as scratch:
        lab = Lab.up("boot-http", Path(scratch), node_count=2, firmware=FIRMWARES, owner_pid=os.getpid())
        try:
            lab.tftp_root.chmod(0o755)
            with http_server(lab):
                for way, url in (("tftp", ""), ("http", f"http://{lab.gateway_ip}")):
                    prepare(lab, url)
                    took[way] = {node.firmware: boot_seconds(lab, node) for node in lab.nodes}
        finally:
            lab.down()
    ratios = {name: round(took["tftp"][name] / took["http"][name], 2) for name in took["http"]}
    rows = [(name, f"{took['tftp'][name]:.1f}", f"{took['http'][name]:.1f}", f"x{ratios[name]}") for name in ratios]
    sys.stdout.write(table(("firmware", "by TFTP (s)", "by HTTP (s)", "TFTP / HTTP"), rows))
    crowd = crowds()
    show(crowd)
    figures = {"seconds": took, "ratio_tftp_to_http": ratios, "crowd": crowd, "machine": dict(machine())}
    sys.stdout.write(f"\n{save('boot_http', figures)}\n")
    # Of hundreds some may give up, which is a result; one machine alone that does not get its files is a broken bench.
    alone = (crowd["by_machines"][1], crowd["at_a_distance"])
    return 1 if any(row[way]["failed"] for row in alone for way in ("tftp", "http")) else 0


def crowds() -> dict[str, Any]:
    """Returns how long the files alone take for many machines, and for one at a distance."""
    with tempfile.TemporaryDirectory(prefix="kadeploy-boot-crowd-") as scratch:
        directory = Path(scratch)
        directory.chmod(0o755)
        for name in FILES:
            (directory / name).touch(0o644)
            shutil.copyfile(BUILD / name, directory / name)
        return boot_crowd.measure(boot_crowd.Files(directory=directory, names=FILES))


def show(crowd: dict[str, Any]) -> None:
    """Prints the figures of a crowd."""
    distant = crowd["at_a_distance"]
    named = {f"{count} at once": row for count, row in crowd["by_machines"].items()}
    named[f"1, round trip {distant['round_trip_milliseconds']} ms"] = distant
    rows = [
        (
            name,
            *(f"{row[way]['last']:.1f} ({row[way]['median']:.1f})" for way in ("tftp", "http")),
            f"x{row['ratio_tftp_to_http']}",
            f"{row['tftp']['failed']}, {row['http']['failed']}",
        )
        for name, row in named.items()
    ]
    sys.stdout.write(
        f"\n{crowd['bytes'] / 1e6:.1f} MB for each machine, over a link of {crowd['link_megabits']} Mbit/s\n"
    )
    sys.stdout.write(table(("machines", "last (half) by TFTP, s", "by HTTP, s", "TFTP / HTTP", "gave up"), rows))


def prepare(lab: Lab, url: str) -> None:
    """Lays the tree out and writes the entries of both machines."""
    settings = Settings(tftp_root=lab.tftp_root, http_url=url, labels=MappingProxyType({LABEL.name: LABEL}))
    layout, site = bootstrap.layout_of(settings), bootstrap.site_of(settings)
    lay_out(
        layout,
        sources=bootstrap.sources_of(settings),
        defaults=bootstrap.default_files(settings),
        network_grub=bootstrap.network_grub(settings),
    )
    install_label(layout, LABEL, kernel=BUILD / "vmlinuz", initrd=BUILD / "initrd.img")
    store = TftpEntryStore(layout)
    store.open()
    for node in lab.nodes:
        machine_ = BootNode(name=node.name, mac_address=node.mac, ip_address=node.ip, firmware=Firmware(node.firmware))
        entry = BootEntry(node=machine_, target=LabelTarget(label=LABEL.name))
        for problem in store.put([WrittenEntry(entry=entry, text=render(entry, site))]):
            if problem:
                raise problem
    store.close()


def boot_seconds(lab: Lab, node: LabNode) -> float:
    """Switches a machine on, and off again when it is ready; returns how long that took."""
    seen = node.serial_log.stat().st_size
    power(lab, node, "on")
    begin = time.monotonic()
    while READY not in node.serial_log.read_bytes()[seen:]:
        if time.monotonic() - begin > SECONDS:
            raise SystemExit(f"{node.name} does not come: see {node.serial_log}")
        time.sleep(0.1)
    took = time.monotonic() - begin
    power(lab, node, "off")
    return round(took, 1)


def power(lab: Lab, node: LabNode, word: str) -> None:
    """Presses a machine's button by its BMC."""
    command = lab.exec_argv(lab.ipmi_argv(node, ["chassis", "power", word]))
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@contextmanager
def http_server(lab: Lab) -> Iterator[None]:
    """Serves the TFTP tree by HTTP inside the lab."""
    command = [sys.executable, "-m", "http.server", "80", "--bind", lab.gateway_ip, "--directory", str(lab.tftp_root)]
    process = subprocess.Popen(lab.exec_argv(command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    sys.exit(main())
