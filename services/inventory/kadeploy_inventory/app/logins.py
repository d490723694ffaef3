"""Certificates by login: the user is known, the key is theirs, the certificate counts for hours."""

import hashlib
from datetime import datetime

from kadeploy_edge.certificate_request import read_request
from kadeploy_inventory.app.ports import Login, Runtime
from kadeploy_inventory.domain.errors import CredentialRefused, LoginDisabled, LoginRefused
from kadeploy_inventory.domain.login import IssuedLogin, KnownUser, check_user

PAYLOAD_PREFIX = "kadeploy-login:"


def issue_by_munge(request: bytes, credential: str, wanted: str, *, runtime: Runtime) -> tuple[KnownUser, IssuedLogin]:
    """Issues a certificate to the user whom a MUNGE credential names.

    Args:
        request: the certificate request, PEM.
        credential: what `munge` printed.
        wanted: who the caller thinks to be; empty for anybody.
        runtime: what use cases are run with.

    Raises:
        LoginDisabled, InvalidCertificateRequest, CredentialRefused, LoginRefused, MungeUnreachable,
        UnusableLoginAuthority: as the names say.
    """
    login = _login(runtime)
    found = login.credentials.read(credential)
    # It comes first: a credential for something else is nobody's here.
    if found.payload != (PAYLOAD_PREFIX + hashlib.sha256(request).hexdigest()).encode():
        raise CredentialRefused(f"the MUNGE credential of uid {found.uid} was made for something else")
    if not found.user:
        raise LoginRefused(
            f"uid {found.uid}, which the MUNGE credential names, has no name on the inventory's host: "
            "both hosts need the same users",
            metadata={"uid": str(found.uid)},
        )
    if wanted not in {"", found.user}:
        raise LoginRefused(
            f"the MUNGE credential is {found.user}'s (uid {found.uid}), not {wanted}'s",
            metadata={"user": wanted, "credential_user": found.user, "uid": str(found.uid)},
        )
    user = KnownUser(name=found.user, uid=found.uid, known_by=f"munge uid={found.uid} host={found.host}")
    return user, _issue(request, user, login, runtime)


def issue_by_agent(request: bytes, user: KnownUser, *, runtime: Runtime) -> IssuedLogin:
    """Issues a certificate to a user whom the agent of a login host knows. Raises as issue_by_munge."""
    return _issue(request, user, _login(runtime), runtime)


def _issue(request: bytes, user: KnownUser, login: Login, runtime: Runtime) -> IssuedLogin:
    key, _ = read_request(request)
    check_user(user, login.policy, runtime.administrators)
    now: datetime = runtime.clock()
    return login.authority.issue(user.name, key, now=now, hours=login.policy.hours)


def _login(runtime: Runtime) -> Login:
    if runtime.login is None:
        raise LoginDisabled("this site issues no certificates by login: the inventory's settings have no [login]")
    return runtime.login
