"""The site's revocation list: which certificates count no more. Read again whenever the file changes.

The site's authority does not know the serial numbers of login certificates. So its list may name users, each with a
time: the login certificates that were issued to them until then count no more (`LoginRevocations`).
"""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from kadeploy_edge.errors import Invalid
from kadeploy_edge.login_certificate import BACKDATED
from kadeploy_edge.tls import common_name, file_fingerprint, read_certificates

logger = logging.getLogger(__name__)

# An arc for a UUID of our own: no registration is needed (ITU-T X.667).
LOGIN_REVOCATIONS = x509.ObjectIdentifier("2.25.153702851190377416325108431096227430712")

_BLOCK = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


class UnusableRevocationList(Invalid):
    """The revocation list is not there, is damaged, or is not the authority's."""

    reason = "UNUSABLE_REVOCATION_LIST"


class RevocationList:
    """A list that is asked at every call, so that a revocation also ends connections that stand."""

    def __init__(self, path: Path, *, ca: Path) -> None:
        """Reads the list for the first time.

        Args:
            path: one or several lists, PEM.
            ca: the authorities that may have signed them.

        Raises:
            UnusableRevocationList, UnusableCertificate: one of the files cannot be used.
        """
        self._path = path
        self._ca = ca
        self._known = file_fingerprint(path)
        self._serials, self._logins = _read(path, ca)

    def holds(self, certificate: x509.Certificate, login_authority: x509.Certificate | None = None) -> bool:
        """Returns whether a certificate was revoked, or the login authority that issued it."""
        self._refresh()
        if self._has(certificate):
            return True
        if login_authority is None:
            return False
        until = self._logins.get(common_name(certificate))
        issued = certificate.not_valid_before_utc + BACKDATED
        return self._has(login_authority) or (until is not None and issued <= until)

    def _has(self, certificate: x509.Certificate) -> bool:
        return certificate.serial_number in self._serials.get(certificate.issuer, frozenset())

    def _refresh(self) -> None:
        found = file_fingerprint(self._path)
        if found == self._known:
            return
        self._known = found
        try:
            self._serials, self._logins = _read(self._path, self._ca)
        except Invalid as error:
            # What was revoked stays revoked; nothing more is known until the file is whole again.
            logger.error("the changed revocation list is not used, the one before stays: %s", error.message)  # noqa: TRY400
            return
        count = sum(map(len, self._serials.values()))
        logger.info("revocation_list=%s revoked=%d is read again", self._path, count)


Read = tuple[Mapping[x509.Name, frozenset[int]], Mapping[str, datetime]]


def _read(path: Path, ca: Path) -> Read:
    """Returns the serial numbers that count no more, by issuer, and until when login certificates do not, by name."""
    try:
        blocks = _BLOCK.findall(path.read_bytes())
        lists = [x509.load_pem_x509_crl(block) for block in blocks]
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _unusable(path, "is damaged") from error
    if not lists:
        raise _unusable(path, "holds no revocation list in PEM form")
    authorities = read_certificates(ca)
    serials: dict[x509.Name, frozenset[int]] = {}
    logins: dict[str, datetime] = {}
    for each in lists:
        if not any(_is_signed_by(each, authority) for authority in authorities):
            raise _unusable(path, f"was not signed by an authority in {ca}")
        found = frozenset(revoked.serial_number for revoked in each)
        serials[each.issuer] = serials.get(each.issuer, frozenset()) | found
        try:
            logins |= login_revocations(each)
        except ValueError as error:
            raise _unusable(path, "names users whose login certificates were revoked, in an unknown form") from error
    return serials, logins


def login_revocations(revocations: x509.CertificateRevocationList) -> dict[str, datetime]:
    """Returns until when login certificates do not count, by common name. Raises ValueError for an unknown form."""
    try:
        found = revocations.extensions.get_extension_for_oid(LOGIN_REVOCATIONS).value
    except x509.ExtensionNotFound:
        return {}
    content = json.loads(found.public_bytes())
    return {str(name): datetime.fromtimestamp(seconds, UTC) for name, seconds in content.items()}


def make_login_revocations(until: Mapping[str, datetime]) -> x509.UnrecognizedExtension:
    """Returns the extension of a revocation list that says until when login certificates do not count."""
    content = json.dumps({name: int(time.timestamp()) for name, time in until.items()}, sort_keys=True)
    return x509.UnrecognizedExtension(LOGIN_REVOCATIONS, content.encode("ascii"))


def _is_signed_by(revocations: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return revocations.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False


def _unusable(path: Path, what: str) -> UnusableRevocationList:
    return UnusableRevocationList(f"{path} {what}", metadata={"path": str(path)})
