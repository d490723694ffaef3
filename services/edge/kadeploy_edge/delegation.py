"""Delegations: a user lets another caller make calls for them, for some hours and within bounds.

A delegation is a signed token (JWS, RFC 7515) that the user makes with the private key of their own certificate. It
names who may present it and until when, and whether calls that change something are among what it allows. The service
that is called checks the signature against the certificate in the token, and that certificate as it would check one on
a connection. So whoever presents a delegation has the rights of the user who made it, never their own, and without one
nothing of theirs. The contract says of each method whether it can be delegated (`kadeploy.access.v1.delegable`).
"""

import base64
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from kadeploy_edge.errors import Denied
from kadeploy_edge.tls import TlsFiles, common_name, read_material

METADATA_KEY = "kadeploy-delegation"
LONGEST_BYTES = 6144
LONGEST = timedelta(hours=12)
# Of clocks that are not quite together.
LEEWAY = timedelta(seconds=60)
AUDIENCE, TYPE = "kadeploy", "kadeploy-delegation"
USER = "user:"
MOST_KNOWN = 512
MOST_CERTIFICATES = 4


class InvalidDelegation(Denied):
    """The delegation does not allow this caller to call for that user: forged, ended, revoked, or somebody else's."""

    reason = "INVALID_DELEGATION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """What a token says.

    Attributes:
        user: "user:alice", who made it.
        presenter: "user:web", who may call with it.
        may_change: whether calls that change something are allowed.
        begin: when it was made.
        end: when it ends.
        certificate: of the user, PEM.
        chain: the same and those above it, as the user sent them.
    """

    user: str
    presenter: str
    may_change: bool
    begin: datetime
    end: datetime
    certificate: bytes
    chain: bytes


def make_delegation(files: TlsFiles, *, presenter: str, lifetime: timedelta, may_change: bool) -> str:
    """Returns a token, signed by the holder of a certificate.

    Args:
        files: the user's certificate and key.
        presenter: who may call with it: "user:web".
        lifetime: until it ends, at most LONGEST; a certificate that ends before ends it.
        may_change: whether it allows calls that change something.

    Raises:
        UnusableCertificate: the files cannot be used.
        ValueError: the lifetime is too long, or the key is of a kind that signs no tokens.
    """
    if not timedelta(0) < lifetime <= LONGEST:
        raise ValueError(f"a delegation lasts at most {LONGEST}")
    material = read_material(files)
    now = datetime.now(UTC)
    end = min(now + lifetime, material.leaf.not_valid_after_utc)
    claims = {
        "iss": common_name(material.leaf),
        "aud": AUDIENCE,
        "azp": presenter,
        "iat": int(now.timestamp()),
        "exp": int(end.timestamp()),
        "change": may_change,
        "jti": secrets.token_hex(8),
    }
    key: Any = load_pem_private_key(material.private_key, password=None)
    chain = x509.load_pem_x509_certificates(material.certificate)
    encoded = [base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in chain]
    return jwt.encode(claims, key, algorithm=_algorithm(material.leaf), headers={"typ": TYPE, "x5c": encoded})


def unchecked_claims(token: str) -> tuple[str, bool, float] | None:
    """Returns user, whether changes are allowed, and the end of a token that nobody has checked; None for no token.

    For whoever shows a token's holder what they hold. Nothing may be decided by it.
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        user, end = claims["iss"], float(claims["exp"])
    except _DAMAGED:
        return None
    if not isinstance(user, str):
        return None
    return user.removeprefix(USER), claims.get("change") is True, end


class DelegationReader:
    """Checks tokens as connections are checked. Signatures are remembered; all else is looked at on each use."""

    def __init__(
        self,
        check_certificate: Callable[[bytes, bytes], None],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Has read nothing yet.

        Args:
            check_certificate: raises Denied for a user's certificate (PEM) that does not count; its second argument
                are all the certificates that came with it.
            clock: the present time.
        """
        self._check_certificate = check_certificate
        self._clock = clock
        self._known: dict[str, Delegation] = {}

    def read(self, token: str, *, presenter: str) -> Delegation:
        """Returns what a token says, or raises InvalidDelegation.

        Args:
            token: as it came.
            presenter: who calls with it, as proved by their own certificate.
        """
        found = self._known.get(token)
        if found is None:
            found = _signed(token)
        if found.presenter != presenter:
            raise InvalidDelegation(f"the delegation is for {found.presenter}, not for {presenter}")
        now = self._clock()
        if now >= found.end:
            raise InvalidDelegation(
                f"the delegation of {found.user} ended on {found.end:%Y-%m-%d %H:%M} UTC: log in anew"
            )
        if now < found.begin - LEEWAY:
            raise InvalidDelegation(f"the delegation of {found.user} has not begun; are the clocks of the hosts right?")
        try:
            self._check_certificate(found.certificate, found.chain)
        except Denied as error:
            raise InvalidDelegation(f"the delegation of {found.user} does not count: {error.message}") from error
        except _UNKNOWN as error:
            raise InvalidDelegation(f"the certificate of {found.user} cannot be read") from error
        # Only of certificates of this site: what anybody can make takes no room.
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[token] = found
        return found


_DAMAGED = (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, OSError)
# What the library says of certificates that it cannot read.
_UNKNOWN = (UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


def _signed(token: str) -> Delegation:
    """Returns what a token says whose form is right and which the key of its certificate has signed."""
    if len(token) > LONGEST_BYTES:
        raise InvalidDelegation(f"the delegation is longer than {LONGEST_BYTES} bytes")
    try:
        header = jwt.get_unverified_header(token)
        encoded = header["x5c"]
        if header.get("typ") != TYPE or not isinstance(encoded, list) or not 0 < len(encoded) <= MOST_CERTIFICATES:
            raise InvalidDelegation("the token is no delegation")
        chain = [x509.load_der_x509_certificate(base64.b64decode(one, validate=True)) for one in encoded]
        key: Any = chain[0].public_key()
        claims = jwt.decode(
            token,
            key,
            algorithms=[_algorithm(chain[0])],
            audience=AUDIENCE,
            # The dates are looked at on each use, by the clock of whoever reads.
            options={"require": ["iss", "aud", "azp", "iat", "exp"], "verify_exp": False, "verify_iat": False},
        )
        return _delegation(claims, chain)
    except (*_DAMAGED, *_UNKNOWN) as error:
        raise InvalidDelegation("the delegation is damaged or was not signed by its user") from error


def _delegation(claims: dict[str, Any], chain: Sequence[x509.Certificate]) -> Delegation:
    name = common_name(chain[0])
    if claims["iss"] != name or not name.startswith(USER) or len(name) == len(USER):
        raise InvalidDelegation("only users can delegate, in their own name")
    begin, end = (datetime.fromtimestamp(int(claims[key]), UTC) for key in ("iat", "exp"))
    if end - begin > LONGEST:
        raise InvalidDelegation(f"a delegation lasts at most {LONGEST}")
    presenter, may_change = claims["azp"], claims.get("change", False)
    if not isinstance(presenter, str) or not isinstance(may_change, bool):
        raise InvalidDelegation("the delegation is damaged")
    leaf, *_ = encoded = [one.public_bytes(Encoding.PEM) for one in chain]
    return Delegation(
        user=name,
        presenter=presenter,
        may_change=may_change,
        begin=begin,
        end=end,
        certificate=leaf,
        chain=b"".join(encoded),
    )


def _algorithm(certificate: x509.Certificate) -> str:
    """Returns the one algorithm that a certificate's key signs tokens with. Raises ValueError for other keys."""
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, rsa.RSAPublicKey):
        return "RS256"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "EdDSA"
    raise ValueError("a key of this kind signs no delegation")


_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
