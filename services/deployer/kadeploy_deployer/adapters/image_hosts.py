"""The HTTP servers that the site named: whether a URL is on one of them, and at which addresses it may be reached."""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from kadeploy_deployer.domain.http_servers import (
    USUAL_PORTS,
    Network,
    ServerPattern,
    is_allowed_address,
    literal_address,
)
from kadeploy_deployer.files.file_threads import FileThreads
from kadeploy_deployer.ports import ImageError

LONGEST_LOOKUP = 15.0
_LOOKUPS, _LOOKUPS_PER_USER = 16, 4

logger = logging.getLogger(__name__)

Lookup = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a name; may block; raises OSError."""


def look_up(host: str, port: int) -> Sequence[str]:
    """Asks the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class ImageHosts:
    """The servers from which files of environments may come.

    Args of the constructor:
        servers: their names; none: files come from no server.
        networks: addresses that are not the Internet's and that a named server may have all the same.
        proxy: the HTTP proxy through which all are reached; it resolves their names then.
        lookup: resolves a name.
    """

    def __init__(
        self,
        servers: Sequence[ServerPattern] = (),
        *,
        networks: Sequence[Network] = (),
        proxy: str = "",
        lookup: Lookup = look_up,
    ) -> None:
        self.proxy = proxy
        self._servers = tuple(servers)
        self._networks = tuple(networks)
        self._lookup = lookup
        self._threads = FileThreads(in_all=_LOOKUPS, per_user=_LOOKUPS_PER_USER)

    def parse(self, text: str) -> URL:
        """Returns a URL on one of the servers. Raises ImageError."""
        try:
            url = URL(text)
            host, port, scheme = _host(url), url.port or 0, url.scheme
        except ValueError as error:
            raise ImageError(f"{text} cannot be fetched: {error}") from None
        if scheme not in USUAL_PORTS or not host:
            raise ImageError(f"{text} cannot be fetched: only http and https are known")
        if url.user is not None or url.password is not None:
            raise ImageError("an address of an image with a user's name or password in it cannot be fetched")
        if not self._servers:
            raise ImageError(f"{text} cannot be fetched: this site names no servers that images may come from")
        if not any(server.fits(host, port, scheme=scheme) for server in self._servers):
            names = ", ".join(map(str, self._servers))
            raise ImageError(f"{text} cannot be fetched: images may come from these servers alone: {names}")
        return url

    async def resolver(self, url: URL, *, user: str) -> AbstractResolver:
        """Resolves a URL's host once and returns what answers with those of its addresses that may be reached.

        Raises:
            ImageError: there is none.
        """
        server = URL(self.proxy) if self.proxy else url
        host, port = _host(server), server.port or 0
        if literal_address(host) is not None:
            # The site named this very address, or else `parse` had refused it; aiohttp resolves nothing then.
            return _Resolved([])
        try:
            async with asyncio.timeout(LONGEST_LOOKUP):
                addresses = await self._threads.run(lambda _: self._lookup(host, port), user=user)
        except TimeoutError:
            raise ImageError(f"{url} cannot be fetched: {host} was not resolved within {LONGEST_LOOKUP:g} s") from None
        except (OSError, UnicodeError) as error:
            cause = error.strerror if isinstance(error, OSError) else "it is no name"
            raise ImageError(f"{url} cannot be fetched: {host} cannot be resolved: {cause}") from None
        good = [address for address in addresses if self.proxy or self._may_be_reached(address)]
        if not good:
            logger.warning("image host=%s has the addresses %s, none of which is allowed", host, ", ".join(addresses))
            raise ImageError(
                f"{url} cannot be fetched: {host} has no address on the Internet or in a network that the deployer's "
                "settings name (image_networks)"
            )
        return _Resolved(good)

    def _may_be_reached(self, address: str) -> bool:
        # A link-local address has its interface behind it.
        return is_allowed_address(ip_address(address.partition("%")[0]), self._networks)


def _host(url: URL) -> str:
    """Returns the name of a URL's host as it is looked up: in ASCII, without a dot at its end."""
    return (url.raw_host or "").rstrip(".").lower()


class _Resolved(AbstractResolver):
    """Answers with addresses that are known, whatever the name stands for by now."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """As in aiohttp."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Has nothing to close."""
