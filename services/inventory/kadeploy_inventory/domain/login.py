"""Who gets a certificate by login, and how they were known."""

import re
from dataclasses import dataclass
from datetime import datetime

from kadeploy_inventory.domain.errors import LoginRefused

# As the names in other certificates: "user:" and the name are at most 64 characters.
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,57}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownUser:
    """A user whom the site knows.

    Attributes:
        name: as the operating system has it.
        uid: the number there.
        known_by: how they are known, for the audit log: "munge uid=1000 host=login-1".
    """

    name: str
    uid: int
    known_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginPolicy:
    """Who gets a certificate, and for how long.

    Attributes:
        hours: how long a certificate counts.
        least_uid: users with smaller numbers are accounts of the system, such as root.
    """

    hours: int
    least_uid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedLogin:
    """A certificate that was issued: `chain` is it and its issuer, PEM."""

    serial: str
    end_time: datetime
    chain: bytes


def check_user(user: KnownUser, policy: LoginPolicy, administrators: frozenset[str]) -> None:
    """Raises LoginRefused for a user who gets no certificate by login."""
    if user.uid < policy.least_uid:
        why = f"is an account of the system (uid {user.uid} is below {policy.least_uid}, [login] least_uid)"
    elif user.name in administrators:
        why = "administrates the site: an administrator's certificate comes from `ka pki issue user`"
    elif not _USER.fullmatch(user.name):
        why = "cannot stand in a certificate: letters, digits and _ . @ - only, at most 58"
    else:
        return
    raise LoginRefused(f"{user.name} {why}", metadata={"user": user.name, "uid": str(user.uid)})
