"""How a section of the settings says that the way to its database server is protected.

    ca = "/etc/kadeploy/tls/ca.pem"
    certificate = "/etc/kadeploy/tls/certificate.pem"
    private_key = "/etc/kadeploy/tls/private_key.pem"

Each is the one of [tls] where the section names none. TCP needs all three, a socket none. `insecure = true` in their
place stands for plain text, on loopback alone.
"""

from pathlib import Path

from kadeploy_edge.settings_file import Table
from kadeploy_edge.tls import TlsFiles
from kadeploy_edge.transport import is_loopback

CA, CERTIFICATE, PRIVATE_KEY, INSECURE = "ca", "certificate", "private_key", "insecure"
DOCS = {
    CA: "TCP is mutual TLS. The authority of the server's certificate and of ours. Default: that of [tls].",
    CERTIFICATE: "The certificate that the accounts demand. Default: that of [tls].",
    PRIVATE_KEY: "Its key. Default: that of [tls].",
}


def read_protection(
    table: Table, *, host: str, port: int, socket: Path | None, tls: TlsFiles | None
) -> TlsFiles | None:
    """Returns the certificates for TCP, None for a socket and for plain text that was asked for; or raises BadSettings.

    Args:
        table: the section of one database.
        host: the server, where there is no socket.
        port: the server's.
        socket: the server's socket, if it is reached by that.
        tls: the service's own certificates.
    """
    insecure = table.flag(INSECURE, False, doc="Plain text in place of certificates, on loopback alone.")
    named = {key: path for key in DOCS if (path := table.optional_path(key, doc=DOCS[key], example=_own(tls, key)))}
    first = next(iter(named), INSECURE)
    if socket is not None:
        if named or insecure:
            raise table.complaint(first, f"{table.name(first)} is for TCP, not for a socket: remove it")
        return None
    if insecure:
        if named:
            raise table.complaint(
                INSECURE, f"{table.name(INSECURE)} asks for no {table.name(first)}: remove one of them"
            )
        if not is_loopback(f"{host}:{port}"):
            sentence = f"{table.name(INSECURE)} is for loopback alone, not for {host}: give certificates instead"
            raise table.complaint(INSECURE, sentence)
        return None
    if (CERTIFICATE in named) != (PRIVATE_KEY in named):
        sentence = f"{table.name(CERTIFICATE)} and {table.name(PRIVATE_KEY)} belong together: give both or none"
        raise table.complaint(CERTIFICATE if CERTIFICATE in named else PRIVATE_KEY, sentence)
    own = {} if tls is None else {CA: tls.ca, CERTIFICATE: tls.certificate, PRIVATE_KEY: tls.private_key}
    files = {**own, **named}
    for key in (CA, CERTIFICATE, PRIVATE_KEY):
        if key not in files:
            instead = "a socket, or, on loopback, insecure = true for plain text"
            raise table.complaint(key, f"{table.name(key)} is missing: TCP needs certificates; or give {instead}")
    return TlsFiles(ca=files[CA], certificate=files[CERTIFICATE], private_key=files[PRIVATE_KEY])


def _own(tls: TlsFiles | None, key: str) -> str:
    return "" if tls is None else str(getattr(tls, key))
