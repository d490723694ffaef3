"""Who calls: a user, an administrator or a service, for the length of one call.

On TLS the certificate's subject is the name. On a Unix socket the name comes in the metadata key `kadeploy-caller`,
and is believed because the socket's permissions say who may speak at all (`identity.py`).
"""

from contextvars import ContextVar
from dataclasses import dataclass

METADATA_KEY = "kadeploy-caller"
SERVICES = frozenset({"inventory", "deployer", "bootctl"})
AGENT_PREFIX, ADDRESS_PREFIX = "agent:", "address:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The subject of a call: `user:alice`, a service by its name, a login host's agent (`agent:login-1`).

    `address:192.0.2.7` is a caller of whom nothing more is known. Empty name: nobody said who.

    Attributes:
        name: on whose behalf the call is made.
        via: who makes it with a delegation of theirs; empty when they call themselves.
        may_change: whether the delegation allows calls that change something.
    """

    name: str
    via: str = ""
    may_change: bool = True

    @property
    def user(self) -> str:
        """The user's name, or empty for a service."""
        prefix, _, name = self.name.partition(":")
        return name if prefix == "user" else ""

    @property
    def is_service(self) -> bool:
        """True for one of the three services."""
        return self.name in SERVICES

    @property
    def login_host(self) -> str:
        """The host whose agent calls, or empty for anybody else."""
        return self.name.removeprefix(AGENT_PREFIX) if self.name.startswith(AGENT_PREFIX) else ""

    @property
    def is_unproven(self) -> bool:
        """True for a caller who came without a certificate, where that is allowed."""
        return self.name.startswith(ADDRESS_PREFIX)


NOBODY = Caller(name="")

current_caller: ContextVar[Caller] = ContextVar("current_caller", default=NOBODY)
