"""How often each node fails, month by month."""

from datetime import UTC, datetime
from typing import Any

from kadeploy_api import Kadeploy

MONTHS = 12
MOST_NODES = 40


def read_failure_rates(client: Kadeploy, nodes: str, *, now: datetime | None = None) -> dict[str, Any]:
    """Returns the months, the latest last, and the nodes that fail most, each with its counts per month.

    Args:
        client: asks the deployer, once per month.
        nodes: a node set; empty for all.
        now: in which month the table ends; the present moment unless given.
    """
    borders = _borders(now or datetime.now(UTC))
    counts: dict[str, list[tuple[int, int]]] = {}
    for number in range(MONTHS):
        answer = client.statistics(nodes, since=borders[number].timestamp(), until=borders[number + 1].timestamp())
        for one in answer.nodes:
            counts.setdefault(one.node, [(0, 0)] * MONTHS)[number] = (one.deployments, one.failures)
    failing = {node: months for node, months in counts.items() if any(failures for _, failures in months)}
    worst = sorted(failing, key=lambda node: _rank(failing[node]))[:MOST_NODES]
    used = [number for number in range(MONTHS) if any(months[number][0] for months in counts.values())]
    first = used[0] if used else MONTHS - 1
    return {
        "months": [f"{border:%Y-%m}" for border in borders[first:MONTHS]],
        "nodes": [{"node": node, "months": failing[node][first:]} for node in worst],
    }


def _rank(months: list[tuple[int, int]]) -> tuple[float, int]:
    """Orders by rate and then by number of failures, the worst first."""
    deployments, failures = (sum(one[part] for one in months) for part in (0, 1))
    return (-failures / deployments, -failures)


def _borders(now: datetime) -> list[datetime]:
    """Returns the beginnings of the last months, and of the next one."""
    last = now.year * 12 + now.month - 1
    return [datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC) for number in range(last - MONTHS + 1, last + 2)]
