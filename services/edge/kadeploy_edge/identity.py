"""Who calls, told by what the transport proves: the certificate on TLS, the caller's own word on a socket."""

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from cryptography import x509

from kadeploy_edge.authority_file import AuthorityFile
from kadeploy_edge.caller import ADDRESS_PREFIX, METADATA_KEY, NOBODY, Caller
from kadeploy_edge.delegation import METADATA_KEY as DELEGATION_KEY
from kadeploy_edge.delegation import Delegation, DelegationReader, InvalidDelegation
from kadeploy_edge.errors import Denied
from kadeploy_edge.login_certificate import USERS_UNIT, CertificateNotBelieved, check_login, is_issued_by
from kadeploy_edge.own_sockets import peer_of_call
from kadeploy_edge.revocation import RevocationList
from kadeploy_edge.tls import common_name

_NAME = re.compile(r"[!-~]{1,128}")


class CertificateRevoked(Denied):
    """The caller's certificate counts no more."""

    reason = "CERTIFICATE_REVOKED"


class CertificateExpired(Denied):
    """The caller's certificate ended while the connection stood."""

    reason = "CERTIFICATE_EXPIRED"


class Identity(Protocol):
    """Says who makes a call. `context`: of either colour of gRPC."""

    def name(self, context: Any) -> Caller:
        """Returns the caller as he is called, whether he is let in or not."""

    def known_by(self, context: Any) -> str:
        """Returns what says so, for the audit log: "certificate 5f3a"; empty where the caller's word does."""
        ...

    def admit(self, context: Any) -> None:
        """Raises Denied when this caller is not to be heard at all."""


class NamedCallers:
    """On sockets, and on loopback by the insecure flag: the caller says his name in the metadata and is believed."""

    def name(self, context: Any) -> Caller:
        """As in the protocol."""
        for key, value in context.invocation_metadata() or ():
            if key == METADATA_KEY and isinstance(value, str):
                return _caller(value)
        return NOBODY

    def known_by(self, context: Any) -> str:
        """As in the protocol: nothing but their word."""
        return ""

    def admit(self, context: Any) -> None:
        """As in the protocol: whoever can open the socket is heard. Nothing there proves who presents a delegation."""
        if _delegation_of(context):
            raise InvalidDelegation("a delegation counts only where certificates say who calls")


class UnprovenCallers:
    """On a login address: callers have no certificate yet. They are told apart by their addresses."""

    def name(self, context: Any) -> Caller:
        """As in the protocol."""
        peer = peer_of_call(str(context.peer()))
        return _caller(f"{ADDRESS_PREFIX}{peer.host if peer else 'socket'}")

    def known_by(self, context: Any) -> str:
        """As in the protocol: nothing but their word."""
        return ""

    def admit(self, context: Any) -> None:
        """As in the protocol: whoever reaches the address is heard."""


class CertifiedCallers:
    """On TLS: the subject of the certificate is the caller, or the user whose delegation they present."""

    def __init__(
        self,
        revocations: RevocationList | None,
        *,
        authorities: AuthorityFile,
        administrators: frozenset[str] = frozenset(),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Reads nothing yet.

        Args:
            revocations: the certificates that count no more; None: none is looked at.
            authorities: the site's, by which TLS has checked the certificates.
            administrators: users for whom a certificate of a login authority does not count.
            clock: tells the time.
        """
        self._revocations = revocations
        self._authorities = authorities
        self._administrators = administrators
        self._delegations = DelegationReader(self._check_certificate, clock=clock)
        self._clock = clock

    def name(self, context: Any) -> Caller:
        """As in the protocol. A delegation that does not count is left for `admit` to refuse."""
        caller = _caller(common_name(_certificate(context)))
        token = _delegation_of(context)
        if not token:
            return caller
        try:
            delegation = self._read(token, caller)
        except InvalidDelegation:
            return caller
        return Caller(name=_caller(delegation.user).name, via=caller.name, may_change=delegation.may_change)

    def known_by(self, context: Any) -> str:
        """As in the protocol."""
        certificate = _certificate(context)
        unit = certificate.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
        kind = "login certificate" if [str(each.value) for each in unit] == [USERS_UNIT] else "certificate"
        return f"{kind} {certificate.serial_number:x}"

    def admit(self, context: Any) -> None:
        """As in the protocol. TLS looked at the dates when the connection began, and never at the revocations.

        Raises:
            CertificateExpired, CertificateRevoked: it counts no more.
            CertificateNotBelieved: a login authority issued it, and may not issue it.
        """
        pem, chain = context.auth_context()["x509_pem_cert"][0], _chain(context)
        self._check_certificate(pem, chain)
        if token := _delegation_of(context):
            self._read(token, _caller(common_name(_certificate(context))))

    def _check_certificate(self, pem: bytes, chain: bytes) -> None:
        """Raises Denied for a certificate that does not count. `pem`: the holder's; `chain`: all that they sent."""
        certificate = _parsed(pem)
        serial = f"{certificate.serial_number:x}"
        if self._clock() > certificate.not_valid_after_utc:
            end = f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
            raise CertificateExpired(
                f"the certificate {serial} ended on {end}: have it renewed", metadata={"serial": serial, "end": end}
            )
        issuer = _login_authority(pem, chain, self._authorities.certificates())
        if issuer is not None:
            self._check_administrator(certificate, serial)
            if self._clock() > issuer.not_valid_after_utc:
                raise CertificateExpired(f"the login authority of the certificate {serial} has ended")
        if self._revocations is not None and self._revocations.holds(certificate, issuer):
            raise CertificateRevoked(f"the certificate {serial} was revoked", metadata={"serial": serial})

    def _check_administrator(self, certificate: x509.Certificate, serial: str) -> None:
        user = _caller(common_name(certificate)).user
        if user in self._administrators:
            raise CertificateNotBelieved(
                f"{user} administrates the site, for which a certificate from `ka login` does not count: "
                "an administrator's comes from `ka pki issue user`",
                metadata={"serial": serial, "user": user},
            )

    def _read(self, token: str, presenter: Caller) -> Delegation:
        if not presenter.user:
            raise InvalidDelegation(f"{presenter.name or 'an unnamed caller'} cannot call for others")
        return self._delegations.read(token, presenter=presenter.name)


def _delegation_of(context: Any) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == DELEGATION_KEY:
            return value if isinstance(value, str) else "damaged"
    return ""


def _certificate(context: Any) -> x509.Certificate:
    return _parsed(context.auth_context()["x509_pem_cert"][0])


def _chain(context: Any) -> bytes:
    """Returns all certificates that the caller sent, PEM."""
    found = context.auth_context().get("x509_pem_cert_chain", ())
    return bytes(found[0]) if found else b""


@functools.lru_cache(maxsize=1024)
def _login_authority(pem: bytes, chain: bytes, authorities: tuple[x509.Certificate, ...]) -> x509.Certificate | None:
    """Returns the login authority that issued a certificate, None where the site's own authority did."""
    leaf = _parsed(pem)
    if is_issued_by(leaf, authorities):
        return None
    return check_login(leaf, x509.load_pem_x509_certificates(chain) if chain else (), authorities)


@functools.lru_cache(maxsize=1024)
def _parsed(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def _caller(name: str) -> Caller:
    """Returns the caller of this name; what could not stand in a line of a log names nobody."""
    return Caller(name=name) if _NAME.fullmatch(name) else NOBODY
