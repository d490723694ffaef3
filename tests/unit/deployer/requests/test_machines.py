"""What a machine says of itself, as it comes over the network from who knows whom."""

import json
from typing import Any

import pytest

from kadeploy_deployer.nodes.node_failed import NodeFailed
from kadeploy_deployer.requests.machines import read_machine

SAID: dict[str, Any] = {
    "node": "", "boot_id": "b", "uuid": "u", "vendor": "QEMU", "product": "pc", "serial": "", "firmware": "bios",
    "memory_bytes": 1024, "processors": 2, "sockets": 1, "processor_model": "m", "console": "ttyS0",
    "controller_address": "",
    "cards": [{"name": "eth0", "mac_address": "m", "driver": "d", "path": "p", "is_boot_card": True}],
    "disks": [{"name": "vda", "size_bytes": 1, "serial": "s", "wwn": "", "links": []}],
}  # fmt: skip


def test_a_description_is_read() -> None:
    machine = read_machine(json.dumps(SAID), address="10.0.0.1")
    assert (machine.address, machine.processors, machine.cards[0].driver) == ("10.0.0.1", 2, "d")
    assert machine.disks[0].serial == "s"


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", json.dumps({**SAID, "processors": "many"})])
def test_what_is_no_description_is_told(text: str) -> None:
    with pytest.raises(NodeFailed, match="its description makes no sense"):
        read_machine(text, address="10.0.0.1")


def test_a_description_draws_nothing_on_a_terminal() -> None:
    machine = read_machine(json.dumps({**SAID, "vendor": "\x1b[2Jevil\n"}), address="10.0.0.1")
    assert machine.vendor == "[2Jevil"
