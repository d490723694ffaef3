"""Tells which leases nobody renews, by this process's monotonic clock alone.

A holder raises a counter with each renewal. Whoever sees the same count for as long as the lease lasts knows that its
holder has not renewed it for that long, whatever the clocks of hosts and databases say. Before a lease has been watched
for that long nothing is known of it, so a deployer that has just started takes nothing from the living.
"""

from collections.abc import Sequence

from kadeploy_deployer.domain.lease_record import LONGEST_LEASE, LeaseRecord


class LeaseWatch:
    """Remembers since when each lease has stood unchanged."""

    def __init__(self) -> None:
        self._since: dict[LeaseRecord, float] = {}

    def find_expired(self, leases: Sequence[LeaseRecord], *, asked_at: float, answered_at: float) -> list[LeaseRecord]:
        """Returns those that were not renewed for as long as they last, or have no holder.

        Args:
            leases: all that are held now.
            asked_at: when they were asked for, by the monotonic clock.
            answered_at: when they were known. A new one counts from here on: it may have been renewed this moment.
        """
        self._since = {lease: self._since.get(lease, answered_at) for lease in leases}
        return [
            lease
            for lease, since in self._since.items()
            if lease.is_released or asked_at - since >= min(lease.seconds, LONGEST_LEASE)
        ]
