"""Leases as they stand in the database, held by whichever process: what tells the dead from the living."""

from dataclasses import dataclass
from enum import StrEnum

LONGEST_LEASE = 3600.0
"""No lease lasts longer, in seconds; one that says so was written by nobody that we know."""


class LeaseKind(StrEnum):
    """What can be held."""

    DEPLOYMENT = "deployment"
    """Of a deployment, or of anything else that is done to nodes."""
    CONSOLE = "console"
    QUEUE_PLACE = "queue_place"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """One lease at one moment. Two that are equal were not renewed in between.

    Attributes:
        kind: what is held.
        name: the id of the deployment, operation or console session, or the ticket of the place.
        seconds: how long it lasts from each renewal on.
        renewals: how often it was renewed.
        driver: the process that drives the deployment; empty when it was given back.
        fence: of the deployment's driver.
    """

    kind: LeaseKind
    name: str
    seconds: float
    renewals: int
    driver: str = ""
    fence: int = 0

    @property
    def is_released(self) -> bool:
        """True when a deployment has no driver, so that anybody may take it at once."""
        return self.kind is LeaseKind.DEPLOYMENT and not self.driver
