"""For whom certificates are, and the hosts that services answer at.

Users, services, the database server, the agents of login hosts, and the login authority, which the inventory uses.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Self

from kadeploy_cli.terminal.failures import UsageFailure
from kadeploy_edge.caller import AGENT_PREFIX, SERVICES
from kadeploy_edge.login_certificate import AUTHORITY_NAME

KINDS = ("user", "service", "agent", "authority")

# Not one of ours, but the services call it: its certificate proves it to them, and opens no door of theirs.
DATABASE_SERVER = "mariadb"
_SERVICES = SERVICES | {DATABASE_SERVER}

# A common name has room for 64 characters, "user:" among them.
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,57}")
_HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
LONGEST_HOST = 253
LONGEST_AGENT = 64 - len(AGENT_PREFIX)
LOGIN = AUTHORITY_NAME.removeprefix("authority:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A user, a service (the database server counts as one), the agent of a login host, or the login authority."""

    kind: str
    name: str

    @classmethod
    def of(cls, kind: str, name: str) -> Self:
        """Returns the holder, or raises UsageFailure for a name that none can have."""
        if kind == "service" and name not in _SERVICES:
            raise UsageFailure(f"there is no service {name!r}: the services are {', '.join(sorted(_SERVICES))}")
        if kind == "user" and not _USER.fullmatch(name):
            raise UsageFailure(f"{name!r} cannot be a user's name: letters, digits and _ . @ - only, at most 58")
        if kind == "agent" and (len(name) > LONGEST_AGENT or not _HOST.fullmatch(name)):
            raise UsageFailure(f"{name!r} cannot be a login host's name: a host name, at most {LONGEST_AGENT} letters")
        if kind == "authority" and name != LOGIN:
            raise UsageFailure(f"there is no authority {name!r} besides the site's own: only {LOGIN!r}, for `ka login`")
        return cls(kind=kind, name=name)

    @classmethod
    def named(cls, common_name: str) -> Self | None:
        """Returns the holder that a certificate names, None if it is none of ours."""
        kind, separator, name = common_name.partition(":")
        if separator:
            return cls(kind=kind, name=name) if kind in {"user", "agent", "authority"} and name else None
        return cls(kind="service", name=common_name) if common_name in _SERVICES else None

    @property
    def common_name(self) -> str:
        """What stands in the certificate: "user:alice", "bootctl"."""
        return self.name if self.kind == "service" else f"{self.kind}:{self.name}"

    @property
    def is_called(self) -> bool:
        """Whether others connect to it, and look for their host in its certificate."""
        return self.kind == "service"

    @property
    def calls(self) -> bool:
        """Whether it connects to others, and proves itself to them."""
        return self.kind in {"user", "agent"} or (self.kind == "service" and self.name in SERVICES)

    @property
    def is_authority(self) -> bool:
        """Whether it issues certificates itself."""
        return self.kind == "authority"

    @property
    def directory(self) -> PurePath:
        """Where its files lie, within the authority's directory."""
        return PurePath("authorities" if self.is_authority else f"{self.kind}s", self.name)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def read_hosts(words: Sequence[str]) -> tuple[str, ...]:
    """Returns host names and addresses, each once, or raises UsageFailure for one that is neither."""
    for word in words:
        if not _is_address(word) and (len(word) > LONGEST_HOST or not _HOST.fullmatch(word)):
            raise UsageFailure(f"{word!r} is neither a host name nor an IP address")
    return tuple(dict.fromkeys(words))


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True
