"""Files come from the servers that the site named alone, at allowed addresses, whatever names and redirections say."""

from ipaddress import ip_network

import pytest

from tests.integration.deployer_adapters.fetching import (
    CONTENT,
    Make,
    Names,
    at,
    content_of,
    registered,
    words,
)
from tests.integration.deployer_adapters.http_site import HttpSite, http_site

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "uri",
    [
        "http://images.test:{port}/image",
        "http://127.0.0.1/image",
        "http://127.0.0.1:{port}@images.test/image",
        "http://images.test\\@127.0.0.1:{port}/image",
        "http://2130706433:{port}/image",
        "http://127.1:{port}/image",
        "http://0x7f000001:{port}/image",
        "http://[::ffff:127.0.0.1]:{port}/image",
        "http://[::1]:{port}/image",
        "http://127.0.0.1.:{port}/../image",
        "https://127.0.0.1/image",
        "http://user:password@127.0.0.1:{port}/image",
        "http://[/image",
        "http:///image",
        "ftp://127.0.0.1/image",
        "file:///etc/hostname",
    ],
)
async def test_a_server_that_was_not_named_is_not_asked(make: Make, site: HttpSite, names: Names, uri: str) -> None:
    assert await words(make(f"127.0.0.1:{site.port}"), registered(uri.format(port=site.port)))
    assert (site.asked, names.asked) == ([], [])


async def test_a_password_in_an_address_is_not_repeated(make: Make, site: HttpSite) -> None:
    told = await words(make(f"127.0.0.1:{site.port}"), registered(f"http://alice:pass@127.0.0.1:{site.port}/image"))
    assert "pass@" not in told


async def test_without_a_named_server_there_is_no_way_out(make: Make, site: HttpSite) -> None:
    assert await words(make(), registered(at(site))) == (
        f"{at(site)} cannot be fetched: this site names no servers that images may come from"
    )
    assert site.asked == []


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1%lo", "::ffff:127.0.0.1"]
)
async def test_a_named_server_with_an_address_that_is_not_the_internet_s_is_not_asked(
    make: Make, site: HttpSite, names: Names, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    names.known["images.test"] = [[address]]
    store = make(f"images.test:{site.port}", networks=[])
    told = await words(store, registered(at(site, host="images.test")))
    assert told.endswith(
        "images.test has no address on the Internet or in a network that the deployer's settings name (image_networks)"
    )
    assert address not in told
    assert f"images.test has the addresses {address}" in caplog.text.replace("host=", "")
    assert site.asked == []


async def test_a_name_with_an_umlaut_is_the_name_that_it_is_looked_up_by(
    make: Make, site: HttpSite, names: Names
) -> None:
    names.known["xn--bcher-kva.test"] = [["127.0.0.1"]]
    store = make(f"xn--bcher-kva.test:{site.port}")
    assert await content_of(store, registered(at(site, host="bücher.test"))) == CONTENT
    assert names.asked == ["xn--bcher-kva.test"]


async def test_of_several_addresses_the_allowed_ones_are_taken(make: Make, site: HttpSite, names: Names) -> None:
    names.known["images.test"] = [["10.0.0.1", "127.0.0.1", "::1"]]
    store = make(f"images.test:{site.port}")
    assert await content_of(store, registered(at(site, host="images.test"))) == CONTENT


async def test_a_name_that_changes_its_address_after_it_was_looked_at_gains_nothing(make: Make, names: Names) -> None:
    async with http_site() as allowed, http_site("127.0.0.2", allowed.port) as inner:
        allowed.bodies["/image"] = inner.bodies["/image"] = CONTENT
        names.known["images.test"] = [["127.0.0.1"], ["127.0.0.2"]]
        store = make(f"images.test:{allowed.port}", networks=[ip_network("127.0.0.1")])
        assert await content_of(store, registered(at(allowed, host="images.test"))) == CONTENT
        assert (allowed.asked, inner.asked, names.asked) == (["/image"], [], ["images.test"])


async def test_an_address_that_the_site_named_itself_needs_no_network(make: Make, site: HttpSite) -> None:
    assert await content_of(make(f"127.0.0.1:{site.port}", networks=[]), registered(at(site))) == CONTENT


async def test_a_redirection_is_followed_among_named_servers(make: Make, site: HttpSite, names: Names) -> None:
    names.known["mirror.test"] = [["127.0.0.1"]]
    site.redirections = {"/a": "/b", "/b": f"http://mirror.test:{site.port}/image"}
    store = make(f"127.0.0.1:{site.port}", f"mirror.test:{site.port}")
    assert await content_of(store, registered(at(site, "/a"))) == CONTENT
    assert site.asked == ["/a", "/b", "/image"]


@pytest.mark.parametrize(
    "target",
    [
        "http://inner.test:{inner}/image",
        "http://127.0.0.2:{inner}/image",
        "//127.0.0.2:{inner}/image",
        "http://mirror.test:{inner}/image",
        "file:///etc/hostname",
        "gopher://127.0.0.2:{inner}/",
        "http://[",
        "",
    ],
)
async def test_a_redirection_leads_to_no_server_that_is_not_allowed(make: Make, names: Names, target: str) -> None:
    async with http_site() as site, http_site("127.0.0.2") as inner:
        inner.bodies["/image"] = CONTENT
        site.redirections["/a"] = target.format(inner=inner.port)
        names.known = {"inner.test": [["127.0.0.2"]], "mirror.test": [["127.0.0.2"]]}
        store = make(f"127.0.0.1:{site.port}", f"mirror.test:{inner.port}", networks=[ip_network("127.0.0.1")])
        assert "cannot be fetched" in await words(store, registered(at(site, "/a")))
        assert inner.asked == []


async def test_redirections_in_a_circle_end(make: Make, site: HttpSite) -> None:
    site.redirections["/a"] = "/a"
    told = await words(make(f"127.0.0.1:{site.port}"), registered(at(site, "/a")))
    assert told.endswith("it was sent on more than 5 times")
    assert len(site.asked) == 6


async def test_variables_of_the_environment_count_for_nothing(
    make: Make, site: HttpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with http_site() as proxy:
        for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        assert await content_of(make(f"127.0.0.1:{site.port}"), registered(at(site))) == CONTENT
        assert proxy.asked == []


async def test_a_proxy_of_the_settings_is_asked_for_named_servers_alone(make: Make, names: Names) -> None:
    async with http_site() as proxy:
        proxy.bodies["http://images.test/image"] = CONTENT
        store = make("images.test", networks=[], proxy=f"http://127.0.0.1:{proxy.port}")
        assert await content_of(store, registered("http://images.test/image")) == CONTENT
        assert proxy.asked == ["http://images.test/image"]
        assert "from these servers alone: images.test" in await words(store, registered("http://other.test/image"))
        assert names.asked == []
