"""What the settings say of images: where their files may be on this host, and from which servers they may come."""

import grp
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from kadeploy_deployer.domain.http_servers import Network, ServerPattern
from kadeploy_edge.settings_file import Table

DEFAULT_DIRECTORY = Path("/var/lib/kadeploy/images")
MOST_GIB = 16 * 1024.0
FASTEST = 100_000.0
GIBIBYTE, MEGABYTE = 1 << 30, 1_000_000
_DIRECTORIES = (
    "The directories in which the files of environments (file:// images and archives) may lie on this host, and "
    "nowhere else. Whoever may deploy can have any file below them sent to a node: no key, certificate, password or "
    "database may lie there (the deployer does not start with its own below them), nor anything else that is not "
    "for all users. The default is made at the start; other ones are the site's to make."
)
_GROUPS = (
    'A file has to be readable for others ("chmod o+r"), or belong to the deployer\'s own account, or to one of these '
    "groups and be readable for it. Default: no group."
)
_HOSTS = (
    'The HTTP servers from which images and archives may come: "images.example.org" (on port 80 or 443), with '
    'another port "images.example.org:8080", "*.example.org" for all names below, or an address. Redirections go to '
    "these alone, too. Default: none."
)
_NETWORKS = (
    "A server that is named may have addresses of the Internet alone, unless they are of these networks: a site whose "
    'servers have private ones writes something like ["192.168.1.0/24", "fd00::/8"]. Looked at whenever a name was '
    "resolved. Default: none."
)
_PROXY = (
    'The HTTP proxy on the way to these servers, "http://proxy.example.org:3128". It resolves their names, so it is '
    "the proxy's work to keep private addresses closed. Variables such as http_proxy count for nothing. Default: "
    "none."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """Where the files of environments may be.

    Attributes:
        directories: on this host; links are resolved when a file is opened.
        groups: numbers of groups whose files may be used although others cannot read them.
        servers: HTTP servers; none: files come from no server.
        networks: addresses, other than the Internet's, that a server may have.
        proxy: the HTTP proxy on the way to servers; empty: none.
        download_max_gib: the largest file that a server may send.
        download_min_mb_per_second: per second, below which a server counts as too slow.
    """

    directories: tuple[Path, ...] = (DEFAULT_DIRECTORY,)
    groups: frozenset[int] = frozenset()
    servers: tuple[ServerPattern, ...] = ()
    networks: tuple[Network, ...] = ()
    proxy: str = ""
    download_max_gib: float = 64.0
    download_min_mb_per_second: float = 1.0


def read_images(table: Table) -> ImageSettings:
    """Returns what the file says of images, or raises BadSettings."""
    return ImageSettings(
        directories=table.paths("image_directories", [DEFAULT_DIRECTORY], doc=_DIRECTORIES),
        groups=frozenset(_group(table, name) for name in table.names("image_groups", (), doc=_GROUPS)),
        servers=tuple(_server(table, text) for text in sorted(table.names("image_hosts", (), doc=_HOSTS))),
        networks=tuple(_network(table, text) for text in sorted(table.names("image_networks", (), doc=_NETWORKS))),
        proxy=_proxy(table),
        download_max_gib=table.number(
            "image_download_max_gib",
            64,
            least=0,
            most=MOST_GIB,
            unit="GiB",
            doc="The largest file that a server may send.",
        ),
        download_min_mb_per_second=table.number(
            "image_download_min_mb_per_second",
            1,
            least=0.001,
            most=FASTEST,
            unit="megabytes per second",
            doc="A server that gives less, over a minute or in all, is given up.",
        ),
    )


def check_separation(table: Table, directories: tuple[Path, ...], own: Mapping[str, Path | None], cache: Path) -> None:
    """Raises BadSettings if a file of the deployer's own lies below a directory of images, or such a one in its cache.

    Args:
        table: the settings.
        directories: where users' images may be.
        own: what nobody may be given, by the name of its setting.
        cache: the deployer's directory of what it downloaded and took out of images.
    """
    for directory in directories:
        for setting, path in {**own, "cache_directory": cache}.items():
            if path is not None and _is_below(path, directory):
                raise table.complaint(
                    "image_directories",
                    f"image_directories has {directory}, and {setting}, {path}, lies below it: any user could have it "
                    "sent to a node",
                )
        if _is_below(directory, cache):
            raise table.complaint(
                "image_directories", f"image_directories has {directory}, which lies below cache_directory, {cache}"
            )


def _is_below(path: Path, directory: Path) -> bool:
    """Returns whether a path is in a directory, or is it, links resolved; a directory may be mounted in two places."""
    real = directory.resolve()
    above = {each for place in (path.absolute(), path.resolve()) for each in (place, *place.parents)}
    return real in above or any(_is_same(each, real) for each in above)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _group(table: Table, name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise table.complaint("image_groups", f"image_groups has {name}, which is no group of this host") from None


def _server(table: Table, text: str) -> ServerPattern:
    try:
        return ServerPattern.parse(text)
    except ValueError as error:
        raise table.complaint("image_hosts", f"image_hosts: {error}") from None


def _network(table: Table, text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise table.complaint("image_networks", f"image_networks: {error}") from None


def _proxy(table: Table) -> str:
    text = table.text("image_proxy", "", doc=_PROXY)
    try:
        address = urlsplit(text)
        good = not text or (address.scheme == "http" and bool(address.hostname) and address.port is not None)
    except ValueError:
        good = False
    if not good or "@" in text:
        raise table.refusal("image_proxy", "an address such as http://proxy.example.org:3128", text)
    return text
