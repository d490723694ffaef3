"""What bootctl says of a machine's boot, over the wire, and what the deployer makes of it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kadeploy.bootctl.v1 import bootctl_service_pb2
from kadeploy_bootctl.settings import Settings
from kadeploy_deployer.adapters.boot_grpc import GrpcBoot
from kadeploy_deployer.domain.boot_diagnosis import BootSign
from tests.fakes import snapshots
from tests.integration.bootctl.conftest import Bed, serving_bootctl

pytestmark = pytest.mark.integration

MAC, IP = "52:54:00:00:00:0b", "172.31.0.11"
LINES = f"""\
2026-11-28T22:59:00+00:00 boot dnsmasq-dhcp[7]: 1 DHCPDISCOVER(eth0) {MAC}
2026-11-28T23:00:00+00:00 boot dnsmasq-dhcp[7]: 2 DHCPOFFER(eth0) {IP} {MAC}
2026-11-28T23:00:01+00:00 boot in.tftpd[9]: RRQ from {IP} filename PXEClient/gone
2026-11-28T23:00:01+00:00 boot in.tftpd[9]: sending NAK (1, File not found) to {IP}
2026-11-28T23:00:02+00:00 boot dnsmasq-dhcp[7]: 3 DHCPDISCOVER(eth0) 52:54:00:00:00:99 no address available
"""


@pytest.fixture
def logged(laid_out: Bed) -> Bed:
    log = laid_out.directory / "syslog"
    log.write_text(LINES)
    settings = laid_out.settings_file.read_text()
    laid_out.settings_file.write_text(f'boot_logs = ["syslog", "/nowhere/access.log"]\n{settings}')
    return laid_out


def test_the_deployer_and_administrators_read_what_was_logged_of_a_machine(logged: Bed) -> None:
    request = bootctl_service_pb2.GetBootLogRequest(mac_address=MAC.upper(), ip_address=IP)
    request.start_time.FromDatetime(datetime(2026, 11, 28, 23, tzinfo=UTC))
    with serving_bootctl(logged) as connect:
        found = connect("deployer").boot.GetBootLog(request, timeout=10)
        assert connect("user:root").boot.GetBootLog(request, timeout=10) == found
    kinds = [bootctl_service_pb2.BootLogKind.Name(record.kind) for record in found.records]
    assert kinds == ["BOOT_LOG_KIND_DHCP_OFFER", "BOOT_LOG_KIND_FILE_SENT", "BOOT_LOG_KIND_FILE_MISSING"]
    assert found.records[-1].detail == "PXEClient/gone: File not found"
    assert list(found.unanswered_mac_addresses) == ["52:54:00:00:00:99"]
    assert [(source.path, source.problem) for source in found.sources] == [
        (str(logged.directory / "syslog"), ""),
        ("/nowhere/access.log", "No such file or directory"),
    ]


def test_what_the_deployer_asks_and_that_no_answer_is_a_sentence(logged: Bed) -> None:
    node = replace(snapshots.nodes("node-1")["node-1"], mac_address=MAC, ip_address=IP)
    address = Settings.load(logged.settings_file).address

    async def ask() -> tuple[object, ...]:
        boot = GrpcBoot(address, call_seconds=5.0)
        try:
            with serving_bootctl(logged):
                found = await boot.server_log(node, 0.0)
            away = await GrpcBoot(f"unix:{logged.directory}/nobody", call_seconds=1.0).server_log(node, 0.0)
        finally:
            await boot.close()
        return found, away

    found, away = asyncio.run(ask())
    assert [record.sign for record in found.records] == [  # type: ignore[attr-defined]
        BootSign.DHCP_REQUEST,
        BootSign.DHCP_OFFER,
        BootSign.FILE_SENT,
        BootSign.FILE_MISSING,
    ]
    assert "/nowhere/access.log cannot be read" in found.problems[0]  # type: ignore[attr-defined]
    assert "does not answer" in away.problems[0]  # type: ignore[attr-defined]
