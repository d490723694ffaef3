"""What carries the conversation with a MariaDB server: a Unix socket, mutual TLS, or plain TCP on loopback.

The rule is the one for calls between services. Over TCP the server proves with its certificate that it is the host of
the settings, and the service shows its own, which its accounts demand (`accounts.py`). Plain text on loopback has to be
asked for by `insecure = true`, and is logged. Renewed files count from the next connection on.
"""

import logging
import ssl
from typing import Any, Final

import pymysql
from cryptography.x509.oid import NameOID
from pymysql.constants import CR, ER
from sqlalchemy import Engine, event

from kadeploy_database.failures import explain_failures
from kadeploy_edge.tls import Material, TlsFiles, UnusableCertificate, read_material, tls_fingerprint

logger = logging.getLogger(__name__)

HUNG_UP: Final = frozenset({CR.CR_CONN_HOST_ERROR, CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST})
# What OpenSSL calls them; Python has no names for them.
EXPIRED, NOT_YET_VALID, OTHER_NAME, OTHER_ADDRESS = 10, 9, 62, 64
# How OpenSSL, and so the server, writes the parts of a subject.
SHORT_NAMES: Final = {
    NameOID.COMMON_NAME: "CN",
    NameOID.COUNTRY_NAME: "C",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.LOCALITY_NAME: "L",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.EMAIL_ADDRESS: "emailAddress",
}


class Channel:
    """How connections to one server are made, by whichever account."""

    def __init__(self, *, setting: str, server: str, tls: TlsFiles | None, insecure: bool = False) -> None:
        """Says how; nothing is read yet.

        Args:
            setting: the table of the settings that says all this, for messages: "database.deploy".
            server: the server's address or the path of its socket, for messages.
            tls: our certificate, its key and the authority that both sides' certificates come from; None for a socket.
            insecure: plain text over TCP, in place of certificates.
        """
        self.server = server
        self.insecure = insecure
        self._setting = setting
        self._tls = tls
        self._known: tuple[object, ssl.SSLContext] | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS is used."""
        return self._tls is not None

    @property
    def subject(self) -> str:
        """The subject of our certificate as the server writes it, which accounts demand; empty without TLS.

        Raises UnusableCertificate, also for a subject that no server can be asked for.
        """
        if self._tls is None:
            return ""
        leaf = self._material(self._tls).leaf
        parts = [attribute for part in leaf.subject.rdns for attribute in part]
        written = "".join(f"/{SHORT_NAMES.get(part.oid, '')}={part.value!s}" for part in parts)
        known = all(part.oid in SHORT_NAMES for part in parts) and len(parts) == len(leaf.subject.rdns)
        if not parts or not known or not (written.isascii() and written.isprintable()):
            what = f"has a subject of an unusual form: {leaf.subject.rfc4514_string()!r}"
            raise self._unusable(self._tls, self._tls.certificate, what)
        return written

    def prepare(self) -> None:
        """Reads the files, or raises UnusableCertificate; says aloud that nothing is encrypted where that is so."""
        self._context()
        if self.insecure:
            logger.warning("INSECURE: %s is reached at %s in plain text", self._setting, self.server)

    def connect(self, **options: Any) -> Any:
        """Returns a connection of the driver. What fails because of certificates is said in the settings' words."""
        context = self._context()
        # Without either the driver would encrypt when the server offers it, and believe whoever answers.
        protection = {"ssl_disabled": True} if context is None else {"ssl": context}
        try:
            return pymysql.connect(**options, **protection)
        except pymysql.err.OperationalError as error:
            sentence = "" if self._tls is None else self._explained(self._tls, error, str(options.get("user", "")))
            if not sentence:
                raise
            raise pymysql.err.OperationalError(error.args[0], sentence) from error

    def _context(self) -> ssl.SSLContext | None:
        """Returns what connections are encrypted with, made anew when a file has changed; None for none."""
        if self._tls is None:
            return None
        found = tls_fingerprint(self._tls)
        if self._known is not None and self._known[0] == found:
            return self._known[1]
        try:
            context = self._read(self._tls)
        except UnusableCertificate as error:
            if self._known is None:
                raise
            # One half may be replaced and the other on its way.
            logger.error("the changed certificate is not used, the one before stays: %s", error.message)  # noqa: TRY400
            context = self._known[1]
        self._known = found, context
        return context

    def _read(self, files: TlsFiles) -> ssl.SSLContext:
        material = self._material(files)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(cadata=material.ca.decode("ascii", errors="replace"))
            context.load_cert_chain(files.certificate, files.private_key)
        except (ssl.SSLError, OSError) as error:
            raise self._unusable(files, files.certificate, f"cannot be used: {error}") from error
        return context

    def _material(self, files: TlsFiles) -> Material:
        try:
            return read_material(files)
        except UnusableCertificate as error:
            message = f"{self._key(files, error.metadata['path'])}: {error.message}"
            raise UnusableCertificate(message, metadata=error.metadata) from error

    def _explained(self, files: TlsFiles, error: Any, user: str) -> str:
        """Returns what a failed connection has to do with certificates; empty for nothing."""
        cause, code = getattr(error, "original_exception", None), error.args[0]
        if isinstance(cause, ssl.SSLCertVerificationError):
            return self._distrust(files, cause.verify_code)
        if code == CR.CR_SSL_CONNECTION_ERROR:
            advice = "give it ssl_ca, ssl_cert and ssl_key"
            return f"{self._setting}: the server at {self.server} offers no encryption: {advice}"
        if code == ER.ACCESS_DENIED_ERROR and user:
            return (
                f"{error.args[1]}: is the password the one of {user}, and {self._setting}.certificate "
                f"({files.certificate}) the one that its account demands?"
            )
        # The server looks at our certificate when we believe the handshake to be over, and then just hangs up.
        refused = code in HUNG_UP and (cause is None or isinstance(cause, (ssl.SSLError, ConnectionError)))
        if refused and not isinstance(cause, ConnectionRefusedError):
            return (
                f"{self._setting}.certificate: the server at {self.server} hung up: does its ssl_ca hold the authority "
                f"of {files.certificate}, and was that not revoked?"
            )
        return ""

    def _distrust(self, files: TlsFiles, code: int) -> str:
        whose = f"the certificate of the server at {self.server}"
        if code in (OTHER_NAME, OTHER_ADDRESS):
            return f"{self._setting}.host: {whose} is for other hosts: name one of those, or issue one for this host"
        if code in (EXPIRED, NOT_YET_VALID):
            return f"{self._setting}: {whose} has ended or has not begun: renew it, and look at the clocks"
        return f"{self._setting}.ca: {whose} was not issued by an authority in {files.ca}"

    def _key(self, files: TlsFiles, path: str) -> str:
        keys = {str(files.certificate): "certificate", str(files.private_key): "private_key", str(files.ca): "ca"}
        return f"{self._setting}.{keys[path]}"

    def _unusable(self, files: TlsFiles, path: Any, what: str) -> UnusableCertificate:
        return UnusableCertificate(f"{self._key(files, str(path))}: {path} {what}", metadata={"path": str(path)})


def lead(engine: Engine, channel: Channel | None) -> Engine:
    """Makes all connections of an engine go through a channel, and its failures be explained; returns it.

    Raises UnusableCertificate.
    """
    explain_failures(engine)
    if channel is None:
        return engine
    channel.prepare()

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> Any:
        return channel.connect(**options)

    return engine


def last_words(error: BaseException | None) -> str:
    """Returns what a driver said when it failed, without the number of the error."""
    arguments = error.args if error is not None else ()
    text = str(arguments[-1]) if arguments else str(error)
    return f"{text}; `db init` makes it" if arguments and arguments[0] == ER.BAD_DB_ERROR else text
