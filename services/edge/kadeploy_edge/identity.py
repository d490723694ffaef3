"""Who calls, told by what the transport proves: the certificate on TLS, the caller's own word on a socket."""

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from cryptography import x509

from kadeploy_edge.caller import METADATA_KEY, NOBODY, Caller
from kadeploy_edge.delegation import METADATA_KEY as DELEGATION_KEY
from kadeploy_edge.delegation import Delegation, DelegationReader, InvalidDelegation
from kadeploy_edge.errors import Denied
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

    def admit(self, context: Any) -> None:
        """As in the protocol: whoever can open the socket is heard. Nothing there proves who presents a delegation."""
        if _delegation_of(context):
            raise InvalidDelegation("a delegation counts only where certificates say who calls")


class CertifiedCallers:
    """On TLS: the subject of the certificate is the caller, or the user whose delegation they present."""

    def __init__(
        self,
        revocations: RevocationList | None,
        delegations: DelegationReader | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._revocations = revocations
        self._delegations = delegations
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

    def admit(self, context: Any) -> None:
        """As in the protocol. TLS looked at the dates when the connection began, and never at the revocations."""
        certificate = _certificate(context)
        serial = f"{certificate.serial_number:x}"
        if self._clock() > certificate.not_valid_after_utc:
            end = f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
            raise CertificateExpired(
                f"the certificate {serial} ended on {end}: have it renewed", metadata={"serial": serial, "end": end}
            )
        if self._revocations is not None and self._revocations.holds(certificate):
            raise CertificateRevoked(f"the certificate {serial} was revoked", metadata={"serial": serial})
        if token := _delegation_of(context):
            self._read(token, _caller(common_name(certificate)))

    def _read(self, token: str, presenter: Caller) -> Delegation:
        if self._delegations is None or not presenter.user:
            raise InvalidDelegation(f"{presenter.name or 'an unnamed caller'} cannot call for others")
        return self._delegations.read(token, presenter=presenter.name)


def _delegation_of(context: Any) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == DELEGATION_KEY:
            return value if isinstance(value, str) else "damaged"
    return ""


def _certificate(context: Any) -> x509.Certificate:
    return _parsed(context.auth_context()["x509_pem_cert"][0])


@functools.lru_cache(maxsize=1024)
def _parsed(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def _caller(name: str) -> Caller:
    """Returns the caller of this name; what could not stand in a line of a log names nobody."""
    return Caller(name=name) if _NAME.fullmatch(name) else NOBODY
