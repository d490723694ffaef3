"""The subject of a certificate as a MariaDB server writes it, which accounts demand."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from kadeploy_database.channel import Channel
from kadeploy_edge.tls import TlsFiles, UnusableCertificate

PLAIN = [(NameOID.COUNTRY_NAME, "FR"), (NameOID.ORGANIZATION_NAME, "A Site"), (NameOID.COMMON_NAME, "inventory")]


def channel_of(directory: Path, *parts: list[tuple[x509.ObjectIdentifier, str]]) -> Channel:
    """Returns a channel with a certificate of this subject, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    rdns = [x509.RelativeDistinguishedName([x509.NameAttribute(*pair) for pair in part]) for part in parts]
    name, now = x509.Name(rdns), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = TlsFiles(certificate=directory / "c", private_key=directory / "k", ca=directory / "a")
    for path in (files.certificate, files.ca):
        path.write_bytes(certificate.public_bytes(Encoding.PEM))
    files.private_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Channel(setting="database.deploy", server="db:3306", tls=files)


def test_the_parts_stand_in_the_order_of_the_certificate(tmp_path: Path) -> None:
    assert channel_of(tmp_path, *([pair] for pair in PLAIN)).subject == "/C=FR/O=A Site/CN=inventory"


def test_without_tls_there_is_none() -> None:
    assert Channel(setting="database.deploy", server="/run/s", tls=None).subject == ""


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [PLAIN],
        [[(NameOID.PSEUDONYM, "x")]],
        [[(NameOID.COMMON_NAME, "inventaire à part")]],
        [[(NameOID.COMMON_NAME, "two\nlines")]],
    ],
)
def test_a_subject_that_cannot_be_told_to_a_server_is_refused(
    tmp_path: Path, parts: list[list[tuple[x509.ObjectIdentifier, str]]]
) -> None:
    channel = channel_of(tmp_path, *parts)
    with pytest.raises(UnusableCertificate, match=r"database\.deploy\.certificate: .* subject of an unusual form"):
        assert channel.subject
