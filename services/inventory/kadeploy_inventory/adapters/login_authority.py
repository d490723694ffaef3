"""The login authority's certificate and key in two files, which may be renewed at any time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from kadeploy_edge.certificate_request import PublicKey
from kadeploy_edge.errors import DomainError
from kadeploy_edge.login_certificate import AUTHORITY_NAME, BACKDATED, alternative_name, user_subject
from kadeploy_edge.private_file import read_private
from kadeploy_edge.tls import common_name, read_certificates
from kadeploy_inventory.domain.errors import UnusableLoginAuthority
from kadeploy_inventory.domain.login import IssuedLogin


class FileLoginAuthority:
    """Issues certificates to users; the files are read each time."""

    def __init__(self, certificate: Path, private_key: Path) -> None:
        self._certificate = certificate
        self._private_key = private_key

    def read(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """Returns the certificate and the key, or raises UnusableLoginAuthority."""
        try:
            certificate = read_certificates(self._certificate)[0]
            text = read_private(self._private_key)
        except DomainError as error:
            raise _unusable(error.message) from error
        try:
            key = load_pem_private_key(text.encode(), password=None)
        except (ValueError, TypeError):
            raise _unusable(f"{self._private_key} is not a private key in PEM form without a passphrase") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise _unusable(f"{self._private_key} is not the key of {self._certificate}")
        if common_name(certificate) != AUTHORITY_NAME:
            raise _unusable(
                f"{self._certificate} is not a login authority's certificate: `ka pki issue authority login` makes one"
            )
        if datetime.now(UTC) > certificate.not_valid_after_utc:
            raise _unusable(
                f"{self._certificate} ended on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC: "
                "`ka pki renew authority login` makes a new one"
            )
        return certificate, key

    def issue(self, user: str, key: PublicKey, *, now: datetime, hours: int) -> IssuedLogin:
        """As in the port. A certificate never outlives the authority's."""
        issuer, signing_key = self.read()
        end = min(now + timedelta(hours=hours), issuer.not_valid_after_utc).replace(microsecond=0)
        made = (
            x509.CertificateBuilder()
            .subject_name(user_subject(user))
            .issuer_name(issuer.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_signs_only(), critical=True)
            .add_extension(alternative_name(user), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
            .sign(signing_key, hashes.SHA256())
        )
        chain = made.public_bytes(Encoding.PEM) + issuer.public_bytes(Encoding.PEM)
        return IssuedLogin(serial=f"{made.serial_number:x}", end_time=end, chain=chain)


def _signs_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=False,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _unusable(what: str) -> UnusableLoginAuthority:
    return UnusableLoginAuthority(f"the login authority cannot be used: {what}")
