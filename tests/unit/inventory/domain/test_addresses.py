"""MAC and IP addresses: written in one way, refused when they are none."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_inventory.domain.addresses import (
    parse_controller_address,
    parse_ip_address,
    parse_mac_address,
    parse_machine_uuid,
)

UNICAST = st.binary(min_size=6, max_size=6).filter(lambda octets: not octets[0] & 1 and any(octets))


@given(UNICAST, st.sampled_from(":-"), st.booleans())
def test_a_mac_address_has_one_normal_form_however_it_is_written(octets: bytes, sign: str, upper: bool) -> None:
    text = octets.hex(sign)
    assert parse_mac_address(text.upper() if upper else text) == octets.hex(":")


@given(UNICAST)
def test_the_normal_form_stays_as_it_is(octets: bytes) -> None:
    assert parse_mac_address(parse_mac_address(octets.hex(":"))) == octets.hex(":")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "52:54:00:00:00",
        "52:54:00:00:00:01:02",
        "52:54-00:00:00:01",
        "525400000001",
        "gg:54:00:00:00:01",
        "52:54:00:00:00:01\n",
        "01:00:5e:00:00:01",
        "ff:ff:ff:ff:ff:ff",
        "00:00:00:00:00:00",
    ],
)
def test_other_texts_are_no_address_of_a_network_card(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        parse_mac_address(text)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_kept_or_refused_and_never_changed(address: object) -> None:
    try:
        assert parse_ip_address(str(address)) == str(address)
    except ValueError as error:
        assert "single host" in str(error)  # noqa: PT017


@pytest.mark.parametrize("text", ["", "10.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.1/24", "::1", "node-1", " 10.0.0.1"])
def test_other_texts_are_no_ipv4_address(text: str) -> None:
    with pytest.raises(ValueError, match="IPv4"):
        parse_ip_address(text)


@pytest.mark.parametrize("text", ["224.0.0.1", "0.0.0.0", "255.255.255.255"])
def test_addresses_of_many_hosts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="single host"):
        parse_ip_address(text)


@pytest.mark.parametrize("text", ["", "node-1-bmc", "10.1.0.1", "127.0.0.1:6230", "[fe80::1]"])
def test_a_controller_is_a_name_or_an_address(text: str) -> None:
    assert parse_controller_address(text) == text


@pytest.mark.parametrize("text", ["-H evil", "a b", "a;b", "a\n", "$(x)"])
def test_a_controller_is_never_an_option_or_a_script(text: str) -> None:
    with pytest.raises(ValueError, match="no host name"):
        parse_controller_address(text)


@given(st.uuids(), st.booleans())
def test_a_uuid_has_one_normal_form(uuid: UUID, upper: bool) -> None:
    text = str(uuid)
    assert parse_machine_uuid(text.upper() if upper else text) == text


def test_a_uuid_that_nobody_knows_is_none() -> None:
    assert parse_machine_uuid("") == ""


@pytest.mark.parametrize(
    "text",
    [
        "b8945908",
        "b8945908d6a641a9611d74a6ab80b83d",
        "b8945908-d6a6-41a9-611d-74a6ab80b83g",
        "b8945908-d6a6-41a9-611d-74a6ab80b83d\n",
        "{b8945908-d6a6-41a9-611d-74a6ab80b83d}",
        "00000000-0000-0000-0000-000000000000",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    ],
)
def test_other_texts_and_those_of_boards_without_one_are_no_uuid(text: str) -> None:
    with pytest.raises(ValueError, match="UUID"):
        parse_machine_uuid(text)
