"""The authorities whose certificates are believed, as they stand in a file that may be replaced at any time."""

import logging
from pathlib import Path

from cryptography import x509

from kadeploy_edge.tls import UnusableCertificate, file_fingerprint, read_certificates

logger = logging.getLogger(__name__)


class AuthorityFile:
    """The file that [tls] ca names."""

    def __init__(self, path: Path) -> None:
        """Reads the file for the first time, or raises UnusableCertificate."""
        self._path = path
        self._known = file_fingerprint(path)
        self._certificates = tuple(read_certificates(path))

    def certificates(self) -> tuple[x509.Certificate, ...]:
        """Returns the authorities; those before while the file cannot be used."""
        found = file_fingerprint(self._path)
        if found != self._known:
            self._known = found
            try:
                self._certificates = tuple(read_certificates(self._path))
            except UnusableCertificate as error:
                logger.error("the changed authority is not used, the one before stays: %s", error.message)  # noqa: TRY400
        return self._certificates
