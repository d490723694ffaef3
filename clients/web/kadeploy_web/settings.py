"""The settings of the page: one TOML file, read strictly. Paths may be relative to it."""

from dataclasses import dataclass
from pathlib import Path

from kadeploy_api import ClientSettings
from kadeploy_edge.settings_file import Table
from kadeploy_edge.tls_settings import read_tls
from kadeploy_edge.transport import is_loopback

DEFAULT_ADDRESS = "127.0.0.1:7480"
ANYBODY, USERS = "anybody", "users"
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
MOST_STREAMS = 10_000
LAST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpsFiles:
    """What the page proves itself to browsers with, PEM."""

    certificate: Path
    private_key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the page is served.

    Attributes:
        host: where to listen.
        port: the same; 0 for any that is free.
        hosts: the names and addresses by which browsers may call the page.
        readers: ANYBODY who reaches the page, or USERS who have logged in.
        https: TLS; None on loopback.
        services: the services, and the page's own certificate.
        streams: live views at once.
    """

    host: str
    port: int
    hosts: frozenset[str]
    readers: str
    https: HttpsFiles | None
    services: ClientSettings
    streams: int = 500


def read_settings(table: Table) -> Settings:
    """Returns what the file says."""
    address = table.text("address", DEFAULT_ADDRESS)
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > LAST_PORT:
        raise table.refusal("address", "HOST:PORT", address, default=DEFAULT_ADDRESS)
    https = _https(table.table("https"))
    loopback = is_loopback(address)
    if not loopback and https is None:
        sentence = f"{address} can be reached from other hosts: give [https], or an address on loopback"
        raise table.complaint("address", sentence)
    default_hosts = LOOPBACK_HOSTS if loopback else frozenset({host})
    # Whoever opens the page to other hosts says who may read it.
    readers = table.choice("readers", (ANYBODY, USERS), ANYBODY if loopback else None)
    return Settings(
        host=host.strip("[]"),
        port=int(port),
        hosts=table.names("hosts", default_hosts),
        readers=readers,
        https=https,
        services=ClientSettings(
            inventory_address=table.table("inventory").text("address", "127.0.0.1:7401"),
            deployer_address=table.table("deployer").text("address", "127.0.0.1:7402"),
            user=table.text("user", "web"),
            tls=read_tls(table.table("tls")),
        ),
        streams=table.whole("streams", 500, least=1, most=MOST_STREAMS),
    )


def _https(table: Table) -> HttpsFiles | None:
    if not table.is_there:
        return None
    return HttpsFiles(certificate=table.path("certificate"), private_key=table.path("private_key"))
