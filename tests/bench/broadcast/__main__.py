"""Measures, prints the table, writes build/bench/broadcast.json and the plot. See the package."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.broadcast.cpu_account import cpu_account
from tests.bench.broadcast.faults import FAULTS, SLOWER, Injection, host_of
from tests.bench.broadcast.methods import METHODS, Transfer, missing
from tests.bench.broadcast.plot import plot
from tests.bench.broadcast.site import built_site
from tests.bench.machine import machine, save, table

SIZE, MBITS = 64 << 20, 100.0
"""Of the file and of every link, up to 8 hosts; both shrink together beyond, so that the ideal time stays the same."""
HOSTS_AT_FULL_RATE = 8
NODES = (1, 2, 4, 8, 16, 32, 64)
DISTURBED = 0.15
"""The part of the machine that others may use."""
BOUND = 6.0
"""How many times the ideal time a transfer may take."""
MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
NODES_OF = {"three silent deaths": 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement.

    Attributes:
        ratio: the time until the last living host has everything (but for late and slow ones), by the ideal time.
        complete: how many hosts have everything; alive: how many live.
        late_ratio: of the late or slow host, by its own ideal time.
        core_seconds_per_gb: for each host and 10^9 bytes.
        disturbed: whether others used the machine meanwhile.
    """

    method: str
    nodes: int
    fault: str
    ratio: float | None
    complete: int
    alive: int
    late_ratio: float | None
    core_seconds_per_gb: float
    others_share: float
    disturbed: bool
    notes: tuple[str, ...] = ()


def measure(method: str, nodes: int, fault_name: str, directory: Path) -> Row:
    """Measures one transfer."""
    fault = FAULTS[fault_name]
    shrink = max(1.0, nodes / HOSTS_AT_FULL_RATE)
    size, mbits = int(SIZE / shrink), MBITS / shrink
    ideal = size * 8 / (mbits * 1e6)
    with (
        cpu_account() as account,
        tempfile.TemporaryDirectory(dir=directory) as name,
        built_site(nodes, mbits=mbits, directory=Path(name), account=account) as site,
    ):
        file = Path(name, "image")
        file.write_bytes(os.urandom(size))
        extra, slow = host_of(fault.late, nodes), host_of(fault.slow, nodes)
        transfer = Transfer(
            site=site,
            file=file,
            timeout=BOUND * ideal + fault.down_seconds,
            late={extra: 0.4 * ideal} if fault.late else {},
            slow_disks={host_of(fault.slow_disk, nodes): mbits * 1e6 / 8 / SLOWER} if fault.slow_disk else {},
        )
        if fault.slow:
            site.shape(slow, mbits / SLOWER)
        if fault.deployer_rate != 1:
            site.shape(0, mbits * fault.deployer_rate)
            ideal /= fault.deployer_rate
        injection = Injection(fault, transfer, ideal)
        injection.begin()
        try:
            METHODS[method](transfer, injection.living)
        finally:
            injection.end()
        usage = account.end()
        living = injection.living()
        apart = ({extra} if fault.late else set()) | ({slow} if fault.slow else set())
        if fault.down:
            apart |= {host_of(fault.down, nodes)}
        main = [transfer.done.get(host) for host in living - apart]
        times = [moment - transfer.begun for moment in main if moment is not None]
        ratio = max(times) / ideal if times and len(times) == len(main) else None
        late = None
        for host in apart & set(transfer.done):
            own = ideal * (SLOWER if fault.slow else 1)
            late = (
                transfer.done[host] - (transfer.begun_of.get(host, transfer.begun) if fault.late else transfer.begun)
            ) / own
        gigabytes = size / 1e9 * max(1, len(living))
        return Row(
            method=method,
            nodes=nodes,
            fault=fault_name,
            ratio=_rounded(ratio),
            complete=len(living & set(transfer.done)),
            alive=len(living),
            late_ratio=_rounded(late),
            core_seconds_per_gb=round(usage.ours / gigabytes, 2),
            others_share=round(usage.others_share, 2),
            disturbed=usage.others_share > DISTURBED,
            notes=tuple(transfer.notes),
        )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def main() -> None:
    """Measures what the command line asks for; everything by default."""
    parser = argparse.ArgumentParser(prog="tests.bench.broadcast")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--nodes", nargs="+", type=int, default=list(NODES))
    parser.add_argument("--faults", nargs="*", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--fault-nodes", type=int, default=HOSTS_AT_FULL_RATE)
    parser.add_argument("--notes", action="store_true")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the hosts are network namespaces: run it as root, `make bench-broadcast` does")
    if lacking := missing():
        sys.exit(f"{', '.join(lacking)} not there: run `lab/setup-host tests/bench/packages.txt`")
    wanted = [(method, nodes, "none") for nodes in arguments.nodes for method in arguments.methods]
    wanted += [
        (method, NODES_OF.get(fault, arguments.fault_nodes), fault)
        for fault in arguments.faults
        if fault != "none"
        for method in arguments.methods
    ]
    rows: list[Row] = []
    for method, nodes, fault in wanted:
        try:
            row = measure(method, nodes, fault, MEMORY)
        except (subprocess.SubprocessError, OSError) as error:
            sys.exit(f"{method} with {nodes} hosts and {fault}: {error}")
        rows.append(row)
        sys.stdout.write(_line(row) + "\n")
        if arguments.notes:
            sys.stdout.writelines(f"    {note}\n" for note in row.notes)
        sys.stdout.flush()
        time.sleep(0.5)
    sys.stdout.write(_table(rows))
    figures = {"machine": machine(), "size": SIZE, "mbits": MBITS, "rows": [asdict(row) for row in rows]}
    sys.stdout.write(f"{save('broadcast', figures)}\n{plot([asdict(row) for row in rows])}\n")


def _line(row: Row) -> str:
    return f"{row.method}, {row.nodes} hosts, {row.fault}: {' '.join(_cells(row)[3:])}"


def _cells(row: Row) -> list[str]:
    return [
        row.fault,
        str(row.nodes),
        row.method,
        "-" if row.ratio is None else f"{row.ratio:.2f}",
        f"{row.complete}/{row.alive}",
        "" if row.late_ratio is None else f"{row.late_ratio:.2f}",
        f"{row.core_seconds_per_gb:.1f}",
        f"disturbed ({row.others_share:.0%})" if row.disturbed else "",
    ]


def _table(rows: Sequence[Row]) -> str:
    head = ["fault", "hosts", "method", "ratio", "complete", "late or slow", "core-s/GB", ""]
    return table(head, [_cells(row) for row in rows])


if __name__ == "__main__":
    main()
