"""What consoles want of the database: each has one user at a time, who keeps it by a lease.

It ends when nobody renews it any more (`engine/lease_watch.py`), never by its age. Each method is one transaction.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSession:
    """Somebody at a console. `lease_seconds`: from each renewal on."""

    id: str
    node: str
    owner: str
    lease_seconds: float
    now: float


class ConsoleStore(Protocol):
    """Who has which console."""

    async def take(self, session: ConsoleSession) -> str:
        """Takes a node's console and returns an empty text, or changes nothing and returns whose it is."""
        ...

    async def renew(self, session_id: str) -> bool:
        """Renews the lease of a session; returns False when it is not held any more."""
        ...

    async def release(self, session_id: str) -> None:
        """Gives the console back. One that is not held any more is nobody's concern."""
        ...
