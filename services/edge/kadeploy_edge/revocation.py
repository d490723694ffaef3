"""The site's revocation list: which certificates count no more. Read again whenever the file changes."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from kadeploy_edge.errors import Invalid
from kadeploy_edge.tls import file_fingerprint, read_certificates

logger = logging.getLogger(__name__)

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
        self._serials = _read(path, ca)

    def holds(self, certificate: x509.Certificate) -> bool:
        """Returns whether a certificate was revoked."""
        self._refresh()
        return certificate.serial_number in self._serials.get(certificate.issuer, frozenset())

    def _refresh(self) -> None:
        found = file_fingerprint(self._path)
        if found == self._known:
            return
        self._known = found
        try:
            self._serials = _read(self._path, self._ca)
        except Invalid as error:
            # What was revoked stays revoked; nothing more is known until the file is whole again.
            logger.error("the changed revocation list is not used, the one before stays: %s", error.message)  # noqa: TRY400
            return
        count = sum(map(len, self._serials.values()))
        logger.info("revocation_list=%s revoked=%d is read again", self._path, count)


def _read(path: Path, ca: Path) -> Mapping[x509.Name, frozenset[int]]:
    """Returns the serial numbers that count no more, by issuer."""
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
    for each in lists:
        if not any(_is_signed_by(each, authority) for authority in authorities):
            raise _unusable(path, f"was not signed by an authority in {ca}")
        found = frozenset(revoked.serial_number for revoked in each)
        serials[each.issuer] = serials.get(each.issuer, frozenset()) | found
    return serials


def _is_signed_by(revocations: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return revocations.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False


def _unusable(path: Path, what: str) -> UnusableRevocationList:
    return UnusableRevocationList(f"{path} {what}", metadata={"path": str(path)})
