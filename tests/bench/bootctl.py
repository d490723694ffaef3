"""How fast bootctl writes the entries of 10,000 nodes, beside a plain loop: `python -m tests.bench.bootctl`.

Measured is the one call, from a client through the real server, until every file is durable. Beside it stand two floors
on the same file system: one file for each node, and the five that an entry has (its note, two names in each of two
repositories), each written, synced and put in its place by rename, one after the other. The ratio is
the call's entries per second over the floor's.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy_bootctl import bootstrap
from kadeploy_bootctl.settings import Settings
from kadeploy_bootctl.tree.directory import PUBLIC_FILE, Directory
from kadeploy_bootctl.tree.installer import lay_out
from kadeploy_edge.channel import open_channel
from kadeploy_edge.server import ServerSettings
from tests.bench.machine import RESULTS, machine, save, table
from tests.fakes.threaded_server import start_in_thread

ENTRIES = 10_000
FILES_OF_AN_ENTRY = 5
# A floor of fewer files tells the same, for they come one after the other.
FLOOR_FILES = 500
CALL_SECONDS = 600


def main() -> int:
    """Measures, prints and writes build/bench/bootctl.json."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    # Beside the result, for what lies in memory needs no time to be durable.
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="bootctl-") as scratch:
        directory = Path(scratch)
        write, change, again = _calls(directory)
        one_file = _floor(directory / "floor") / FLOOR_FILES
    floors = {"one file a node": one_file, "five files a node": one_file * FILES_OF_AN_ENTRY}
    seconds = {
        "10,000 new entries": write,
        "10,000 changed entries": change,
        "the same again": again,
    }
    rates = {name: round(ENTRIES / took) for name, took in seconds.items()}
    limits = {name: round(1 / took) for name, took in floors.items()}
    ratios = {
        f"{name} / {floor}": round(rate / limit, 2) for name, rate in rates.items() for floor, limit in limits.items()
    }
    rows = [(f"bootctl: {name}", f"{rate}") for name, rate in rates.items()]
    rows += [(f"write, fsync, rename: {name}", f"{rate}") for name, rate in limits.items()]
    rows += [(name, f"x{ratio}") for name, ratio in ratios.items()]
    sys.stdout.write(table(("what", "entries a second"), rows))
    path = save(
        "bootctl",
        {
            "entries": ENTRIES,
            "seconds": {name: round(took, 3) for name, took in seconds.items()},
            "entries_per_second": rates,
            "floor_entries_per_second": limits,
            "ratios": ratios,
            "machine": dict(machine()),
        },
    )
    sys.stdout.write(f"\n{path}\n")
    return 0


def _calls(directory: Path) -> tuple[float, float, float]:
    settings = Settings(tftp_root=directory / "tftp", address=f"unix:{directory}/s", uefi=False)
    sources = bootstrap.sources_of(settings)
    defaults = bootstrap.default_files(settings)
    lay_out(
        bootstrap.layout_of(settings),
        sources=sources,
        defaults=defaults,
        network_grub=bootstrap.network_grub(settings),
    )
    runtime = bootstrap.open_runtime(settings)
    server, address = start_in_thread(
        bootstrap.registration(runtime),
        ServerSettings(
            service=bootstrap.SERVICE,
            address=settings.address,
            service_names=bootstrap.SERVICE_NAMES,
            maximum_workers=2,
        ),
    )
    try:
        with open_channel(address, caller="deployer") as channel:
            stub = bootctl_service_pb2_grpc.BootServiceStub(channel)
            return _timed(stub, "first"), _timed(stub, "second"), _timed(stub, "second")
    finally:
        server.stop()


def _timed(stub: bootctl_service_pb2_grpc.BootServiceStub, owner: str) -> float:
    request = bootctl_service_pb2.SetBootEntriesRequest(entries=[_entry(number, owner) for number in range(ENTRIES)])

    def call() -> None:
        results = stub.SetBootEntries(request, timeout=CALL_SECONDS).results
        failed = [result.status.message for result in results if result.status.code]
        if failed or len(results) != ENTRIES:
            raise SystemExit(f"bootctl refused {len(failed)} entries: {failed[:1]}")

    return _seconds(call)


def _entry(number: int, owner: str) -> boot_entry_pb2.BootEntry:
    high, low = divmod(number, 250)
    node = boot_entry_pb2.BootNode(
        name=f"node-{number}", mac_address=f"52:54:00:00:{high:02x}:{low:02x}", ip_address=f"10.0.{high}.{low + 1}"
    )
    target = boot_entry_pb2.BootTarget(chainload=boot_entry_pb2.ChainloadTarget(disk=0, partition=3))
    return boot_entry_pb2.BootEntry(node=node, target=target, owner=owner)


def _floor(directory: Path) -> float:
    """Returns how long FLOOR_FILES files take, each written, synced and renamed; the directory is synced once."""
    directory.mkdir()
    content = b"x" * 200

    def loop() -> None:
        with Directory.open(directory.parent, directory.name) as opened:
            for number in range(FLOOR_FILES):
                fd = os.open("new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, PUBLIC_FILE, dir_fd=opened.fd)
                os.write(fd, content)
                os.fsync(fd)
                os.close(fd)
                os.rename("new", f"entry-{number}", src_dir_fd=opened.fd, dst_dir_fd=opened.fd)
            opened.sync()

    return _seconds(loop)


def _seconds(work: Callable[[], None]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())
