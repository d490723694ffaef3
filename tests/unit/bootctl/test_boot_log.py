"""What is read out of real logs: which machine, when, and what a server did for it."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time

import pytest

from kadeploy_bootctl.app.boot_logs import get_boot_log
from kadeploy_bootctl.domain.boot_log import BootLogKind
from kadeploy_bootctl.logs.line_time import line_time
from kadeploy_bootctl.logs.log_files import MOST_BYTES, LogFiles
from kadeploy_bootctl.logs.recognition import make_reader

NOW = datetime(2026, 11, 28, 23, 30, tzinfo=UTC)
MAC, IP = "52:54:00:12:34:01", "10.77.0.11"
PREFIX = "2026-11-28T23:00:01.5+00:00 boot dnsmasq-dhcp[7]: 331 "
KEA = "2026-11-28 23:00:01.123 INFO  [kea-dhcp4.leases/123] "
ISC = "2026-11-28T23:00:01+00:00 boot dhcpd[5]: "


@pytest.mark.parametrize(
    ("line", "kind", "mac", "ip"),
    [
        (f"{PREFIX}DHCPDISCOVER(eth0) {MAC}", "dhcp_request", MAC, ""),
        (f"{PREFIX}DHCPDISCOVER(eth0) {MAC} no address available", "dhcp_refusal", MAC, ""),
        (f"{PREFIX}DHCPDISCOVER(eth0) {MAC} ignored", "dhcp_refusal", MAC, ""),
        (f"{PREFIX}DHCPOFFER(eth0) {IP} {MAC}", "dhcp_offer", MAC, IP),
        (f"{PREFIX}DHCPACK(eth0) {IP} {MAC} node-1", "dhcp_lease", MAC, IP),
        (f"{PREFIX}DHCPNAK(eth0) {IP} {MAC} wrong network", "dhcp_refusal", MAC, IP),
        (f"{ISC}DHCPDISCOVER from {MAC.upper()} via eth0", "dhcp_request", MAC, ""),
        (f"{ISC}DHCPDISCOVER from {MAC} via eth0: network 10.77.0.0/24: no free leases", "dhcp_refusal", MAC, ""),
        (f"{ISC}DHCPOFFER on {IP} to {MAC} via eth0", "dhcp_offer", MAC, IP),
        (f"{ISC}DHCPACK on {IP} to {MAC} (node-1) via eth0", "dhcp_lease", MAC, IP),
        (
            f"{KEA}DHCP4_LEASE_OFFER [hwtype=1 {MAC}], cid=[no info], tid=0x1: lease {IP} will be offered",
            "dhcp_offer",
            MAC,
            IP,
        ),
        (
            f"{KEA}DHCP4_LEASE_ADVERT [hwtype=1 {MAC}], cid=[], tid=0x1: lease {IP} will be advertised",
            "dhcp_offer",
            MAC,
            IP,
        ),
        (
            f"{KEA}DHCP4_LEASE_ALLOC [hwtype=1 {MAC}], cid=[], tid=0x1: lease {IP} has been allocated for 600 seconds",
            "dhcp_lease",
            MAC,
            IP,
        ),
        (f"{KEA}ALLOC_ENGINE_V4_ALLOC_FAIL [hwtype=1 {MAC}], cid=[], tid=0x1: failed", "dhcp_refusal", MAC, ""),
        (f"2026-11-28 23:00:01 in.tftpd[9]: RRQ from {IP} filename PXEClient/pxelinux.0", "file_sent", "", IP),
        (f"2026-11-28 23:00:01 dnsmasq-tftp[9]: sent /srv/tftp/pxelinux.0 to {IP}", "file_sent", "", IP),
        (f"2026-11-28 23:00:01 dnsmasq-tftp[9]: file /srv/tftp/no not found for {IP}", "file_missing", "", IP),
        (f"2026-11-28 23:00:01 atftpd[9]: Serving pxelinux.0 to {IP}:2070", "file_sent", "", IP),
        (f'{IP} - - [28/Nov/2026:23:00:01 +0000] "GET /tftp/a HTTP/1.0" 200 12', "file_sent", "", IP),
        (f'{IP} - - [28/Nov/2026:23:00:01 +0000] "GET /tftp/a HTTP/1.0" 404 12', "file_missing", "", IP),
        (f'{IP} - - [28/Nov/2026:23:00:01 +0000] "GET /tftp/a HTTP/1.0" 500 12', "file_failed", "", IP),
    ],
)
def test_lines_of_the_servers_that_sites_have(line: str, kind: str, mac: str, ip: str) -> None:
    record = make_reader("log", now=NOW)(line)
    assert record is not None
    assert (record.kind, record.mac_address, record.ip_address) == (BootLogKind(kind), mac, ip)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        f"{PREFIX}available DHCP range: 10.77.0.0 -- 10.77.0.255",
        "2026-11-28 23:00:01 in.tftpd[9]: remap: input: x",
        "2026-02-31 23:00:01 in.tftpd[9]: RRQ from 10.77.0.11 filename x",
    ],
)
def test_other_lines_are_passed_over(line: str) -> None:
    assert make_reader("log", now=NOW)(line) is None


def test_a_refusal_of_tftpd_names_the_file_of_the_line_before() -> None:
    read = make_reader("log", now=NOW)
    read(f"2026-11-28T23:00:01Z in.tftpd[9]: RRQ from {IP} filename PXEClient/images_grub/gone")
    record = read(f"2026-11-28T23:00:01Z in.tftpd[9]: sending NAK (1, File not found) to {IP}")
    assert record is not None
    assert (record.kind, record.detail) == (BootLogKind.FILE_MISSING, "PXEClient/images_grub/gone: File not found")


def test_times_without_a_year_are_of_the_last_twelve_months() -> None:
    now = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)
    december = line_time("Dec 31 23:59:59 boot dnsmasq-dhcp[1]: x", now=now)
    assert december is not None
    assert december.year == 2025
    january = line_time("Jan  2 02:59:59 boot dnsmasq-dhcp[1]: x", now=now)
    assert january is not None
    assert abs(january - now) < timedelta(days=1)


def test_a_machine_gets_its_own_records_and_strangers_that_nobody_answered_are_named(tmp_path: Path) -> None:
    log = tmp_path / "dnsmasq.log"
    log.write_text(
        f"{PREFIX}DHCPDISCOVER(eth0) 52:54:00:00:00:99 no address available\n"
        f"{PREFIX}DHCPDISCOVER(eth0) {MAC}\n{PREFIX}DHCPOFFER(eth0) {IP} {MAC}\n"
        f"{PREFIX}DHCPOFFER(eth0) 10.77.0.12 52:54:00:12:34:02\n"
    )
    web = tmp_path / "access.log"
    web.write_text(f'{IP} - - [28/Nov/2026:22:00:01 +0000] "GET /early HTTP/1.0" 200 1\n')
    logs = LogFiles([log, web, tmp_path / "gone.log", tmp_path], clock=lambda: NOW)
    found = get_boot_log(MAC.upper(), IP, since=datetime(2026, 11, 28, 23, 0, tzinfo=UTC), logs=logs)
    assert [record.kind for record in found.records] == ["dhcp_request", "dhcp_offer"]
    assert found.unanswered == ["52:54:00:00:00:99"]
    assert [bool(source.problem) for source in found.sources] == [False, False, True, True]
    assert len(get_boot_log(MAC, IP, since=None, logs=logs).records) == 3


def test_of_a_long_log_the_end_is_read_and_a_pipe_holds_nobody_up(tmp_path: Path) -> None:
    log = tmp_path / "long.log"
    line = f"{PREFIX}DHCPDISCOVER(eth0) {MAC}\n"
    log.write_text("x" * MOST_BYTES + "\n" + line)
    os.mkfifo(tmp_path / "pipe")
    found = LogFiles([log, tmp_path / "pipe"], clock=lambda: NOW).read()
    assert len(found.records) == 1
    assert found.sources[1].problem == "is no regular file"


def test_lease_files_say_when_a_machine_got_its_address(tmp_path: Path) -> None:
    isc, kea = tmp_path / "dhcpd.leases", tmp_path / "kea-leases4.csv"
    isc.write_text(
        f"# a lease\nlease {IP} {{\n  starts 6 2026/11/28 23:00:01;\n  ends 6 2026/11/28 23:10:01;\n"
        f"  hardware ethernet {MAC.upper()};\n}}\nlease 10.77.0.9 {{\n  starts 6 2026/13/77 23:00:01;\n}}\n"
    )
    kea.write_text(
        "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id\n"
        f"{IP},{MAC},01:{MAC},600,1795908000,1,0,0,node-1,0,,0\n"
    )
    log = LogFiles([isc, kea], clock=lambda: NOW).read()
    assert [(record.kind, record.mac_address, record.ip_address) for record in log.records] == [
        (BootLogKind.DHCP_LEASE, MAC, IP)
    ] * 2
    times = {record.source: record.time for record in log.records}
    assert times[str(isc)] == datetime(2026, 11, 28, 23, 0, 1, tzinfo=UTC)
    assert times[str(kea)] == datetime.fromtimestamp(1795908000 - 600, UTC)


def test_hostile_lines_cost_no_more_than_their_number(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(f"{IP} " + '"GET a' * 600_000 + "\n" + "DHCPDISCOVER " * 40_000 + "\n")
    begin = process_time()
    assert LogFiles([log], clock=lambda: NOW).read().records == ()
    assert process_time() - begin < 1.0
