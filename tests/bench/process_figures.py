"""What processes take of the machine, sample by sample, and whether it grows."""

import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.tls_site import SERVICES, TlsSite

MIB = 1 << 20
FREE_GROWTH_MIB, FREE_FILES, FREE_DATABASE_MIB = 12, 12, 2
"""What allocators, pools of connections and write-ahead logs may take more without anything leaking."""
GROWTH_PERCENT = 5.0


def processor_seconds(site: TlsSite) -> dict[str, float]:
    """Returns the processor time that each service has had: what it costs, however busy the machine is."""
    found = {}
    for service in SERVICES:
        fields = (
            Path(f"/proc/{site.processes[service].pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        )
        found[service] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def sample(site: TlsSite) -> dict[str, dict[str, float]]:
    """Returns memory and open files of each service, and the size of its databases."""
    found = {}
    for service in SERVICES:
        status = Path(f"/proc/{site.processes[service].pid}/status").read_text(encoding="ascii")
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        found[service] = {
            "memory_mib": resident / 1024,
            "open_files": site.open_files(service),
            "database_mib": sum(path.stat().st_size for path in _databases(site, service)) / MIB,
        }
    return found


def _databases(site: TlsSite, service: str) -> Sequence[Path]:
    names = {"inventory": ("deploy.db", "deploy_right.db"), "deployer": ("deploy_state.db",)}.get(service, ())
    return [path for name in names for path in (site.directory / name, site.directory / f"{name}-wal") if path.exists()]


def judge(
    samples: Sequence[Mapping[str, Mapping[str, float]]], *, database_mib: float = FREE_DATABASE_MIB
) -> dict[str, dict[str, Any]]:
    """Returns the growth of each service from the second quarter of the samples to the last one.

    The first quarter is left out: caches fill, pools open their connections. `database_mib`: what databases may grow.
    """
    quarter = max(1, len(samples) // 4)
    found: dict[str, dict[str, Any]] = {}
    for service in SERVICES:
        before, after = (
            {key: statistics.median(one[service][key] for one in part) for key in samples[0][service]}
            for part in (samples[quarter : 2 * quarter] or samples[:1], samples[-quarter:])
        )
        memory = after["memory_mib"] - before["memory_mib"]
        is_flat = (
            memory <= FREE_GROWTH_MIB + before["memory_mib"] * GROWTH_PERCENT / 100
            and after["open_files"] - before["open_files"] <= FREE_FILES
            and after["database_mib"] - before["database_mib"] <= database_mib
        )
        found[service] = {
            "before": {key: round(value, 1) for key, value in before.items()},
            "after": {key: round(value, 1) for key, value in after.items()},
            "is_flat": is_flat,
        }
    return found
