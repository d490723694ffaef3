"""Certificate requests (PKCS#10): the key that somebody made and keeps, which an authority is asked to sign."""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kadeploy_edge.errors import FieldViolation, Invalid
from kadeploy_edge.tls import sole_common_name

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
CURVES = ("secp256r1", "secp384r1")
LEAST_RSA_BITS, MOST_RSA_BITS = 2048, 4096
FIELD = "certificate_request"


class InvalidCertificateRequest(Invalid):
    """No certificate can be made of the request."""

    reason = "INVALID_CERTIFICATE_REQUEST"


def read_request(content: bytes) -> tuple[PublicKey, str]:
    """Returns the key of a request and the common name in it, empty where it has none. The caller has the key.

    Args:
        content: PEM.

    Raises:
        InvalidCertificateRequest: it is no request, is not signed by its own key, or its key is none that TLS takes.
    """
    try:
        request = x509.load_pem_x509_csr(content)
        key = request.public_key()
        is_signed = request.is_signature_valid
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise _invalid("is no certificate request in PEM form") from error
    if not is_signed:
        raise _invalid("is not signed by its own key")
    if not _is_usable(key):
        raise _invalid(f"must have an EC key ({', '.join(CURVES)}) or an RSA key of {LEAST_RSA_BITS} bits or more")
    return key, sole_common_name(request.subject)  # type: ignore[return-value]  # just found to be one of them


def _is_usable(key: object) -> bool:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.curve.name in CURVES
    return isinstance(key, rsa.RSAPublicKey) and LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS


def _invalid(what: str) -> InvalidCertificateRequest:
    violation = FieldViolation(field=FIELD, description=what)
    return InvalidCertificateRequest(f"the certificate request {what}", violations=(violation,))
