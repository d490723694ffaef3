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
        directories=table.paths("image_directories", [DEFAULT_DIRECTORY]),
        groups=frozenset(_group(table, name) for name in table.names("image_groups", ())),
        servers=tuple(_server(table, text) for text in sorted(table.names("image_hosts", ()))),
        networks=tuple(_network(table, text) for text in sorted(table.names("image_networks", ()))),
        proxy=_proxy(table),
        download_max_gib=table.number("image_download_max_gib", 64, least=0, most=MOST_GIB, unit="GiB"),
        download_min_mb_per_second=table.number(
            "image_download_min_mb_per_second", 1, least=0.001, most=FASTEST, unit="megabytes per second"
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
    text = table.text("image_proxy", "")
    try:
        address = urlsplit(text)
        good = not text or (address.scheme == "http" and bool(address.hostname) and address.port is not None)
    except ValueError:
        good = False
    if not good or "@" in text:
        raise table.refusal("image_proxy", "an address such as http://proxy.example.org:3128", text)
    return text
