"""`make bench-attack`: how long a well-behaved client waits for its answers, alone and while a service is attacked."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.machine import machine, save, table
from tests.integration.adversary.attacks import ATTACKS
from tests.integration.adversary.well_behaved_client import well_behaved_client
from tests.tls_site import SERVICES, TlsSite, tls_site

ROOT = Path(__file__).parents[2]
NODES = 200
SECONDS = 7.0
# No more calls a second than a user may make.
PAUSE_SECONDS = 0.012
# What the attack has built up by then is there to stay, and what a user may do in a burst is done.
BEFORE_SECONDS = 4.0
PAUSE_BETWEEN_SECONDS = 1.0
END_SECONDS = 90.0
LIMIT = 5.0


def main() -> int:
    """Measures each attack on each service, prints a table, and writes build/bench/attack.json."""
    figures: dict[str, Any] = {"machine_before": machine(), "limit": LIMIT, "attacks": []}
    with TemporaryDirectory() as directory, tls_site(Path(directory), node_count=NODES) as site:
        for service in SERVICES:
            for attack in ATTACKS:
                figures["attacks"].append(_measured(site, service, attack))
                # Whoever was refused is forgotten.
                time.sleep(PAUSE_BETWEEN_SECONDS)
    figures["machine_after"] = machine()
    sys.stdout.write(_table(figures["attacks"]))
    path = save("attack", figures)
    load = figures["machine_after"]["load_average"]
    processors = figures["machine_after"]["processors"]
    sys.stdout.write(f"\nload {load} on {processors} processors; {path.relative_to(ROOT)}\n")
    return 0 if all(one["kept"] for one in figures["attacks"]) else 1


def _measured(site: TlsSite, service: str, attack: str) -> dict[str, Any]:
    alone, failures = _percentile(site, service)
    with _attacked(site, service, attack):
        time.sleep(BEFORE_SECONDS)
        attacked, failures_then = _percentile(site, service)
    ratio = attacked / alone
    return {
        "service": service,
        "attack": attack,
        "alone_p99_milliseconds": round(alone * 1000, 2),
        "attacked_p99_milliseconds": round(attacked * 1000, 2),
        "ratio": round(ratio, 2),
        "failures": failures + failures_then,
        "kept": ratio <= LIMIT and not failures and not failures_then,
    }


def _percentile(site: TlsSite, service: str) -> tuple[float, int]:
    """Returns the seconds within which 99 of 100 calls are answered, and how many are not answered rightly."""
    with well_behaved_client(site, service, pause=PAUSE_SECONDS) as beside:
        time.sleep(SECONDS)
    return statistics.quantiles(beside.seconds, n=100)[-1], sum(beside.failures.values())


@contextmanager
def _attacked(site: TlsSite, service: str, attack: str) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.bench.attacker", str(site.directory), service, site.addresses[service]]
    with subprocess.Popen(
        [*command, attack], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as attacker:
        if attacker.stdin is None or attacker.stdout is None or attacker.stdout.readline() != "begun\n":
            raise SystemExit(f"the attack {attack} on {service} does not begin")
        try:
            yield
        finally:
            attacker.stdin.close()
            try:
                attacker.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                attacker.kill()


def _table(attacks: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            one["service"],
            one["attack"],
            f"{one['alone_p99_milliseconds']:.1f} ms",
            f"{one['attacked_p99_milliseconds']:.1f} ms",
            f"{one['ratio']:.1f}",
            str(one["failures"]),
            "kept" if one["kept"] else "MISSED",
        ]
        for one in attacks
    ]
    head = ["service", "attack", "p99 alone", "p99 attacked", "ratio", "failures", f"<= {LIMIT:g}, no failure"]
    return table(head, rows)


if __name__ == "__main__":
    sys.exit(main())
