"""Where a boot broke: one case for each place, told by what servers, console and ssh have shown."""

from collections.abc import Sequence

import pytest

from kadeploy_deployer.domain.boot_diagnosis import (
    BootFacts,
    BootPlace,
    BootRecord,
    BootSign,
    console_records,
    diagnose,
)

MAC = "52:54:00:12:34:01"
BEGIN = 1_700_000_000.0
ASKED = (BootSign.DHCP_REQUEST, "DHCPDISCOVER(br0)")
OFFERED = (BootSign.DHCP_OFFER, "DHCPOFFER(br0)")
LEASED = (BootSign.DHCP_LEASE, "DHCPACK(br0)")
LOADER = (BootSign.FILE_SENT, "PXEClient/pxelinux.0")
NO_UUID = (BootSign.FILE_MISSING, "PXEClient/pxelinux.cfg/b8945908: File not found")
ENTRY = (BootSign.FILE_SENT, "PXEClient/pxelinux.cfg/01-52-54-00-12-34-01")
KERNEL = (BootSign.FILE_SENT, "PXEClient/images_grub/deploy-vmlinuz")
NO_KERNEL = (BootSign.FILE_MISSING, "PXEClient/images_grub/gone: File not found")
STARTED = "kadeploy: deployment environment starting, kernel 6.1"


def facts(records: Sequence[tuple[BootSign, str]] = (), console: Sequence[str] = (), **more: object) -> BootFacts:
    made = [BootRecord(time=BEGIN + place, sign=sign, detail=detail) for place, (sign, detail) in enumerate(records)]
    made += console_records([(BEGIN + 100 + place, line) for place, line in enumerate(console)])
    return BootFacts(mac_address=MAC, since=BEGIN, records=made, logs_read=True, **more)  # type: ignore[arg-type]


CASES = [
    (facts(powered=False), BootPlace.POWER, "the machine has no power"),
    (facts(), BootPlace.DHCP_REQUEST, f"no DHCP request of {MAC} came since 22:13:20 UTC"),
    (
        facts(unanswered=["52:54:00:00:00:99"]),
        BootPlace.DHCP_REQUEST,
        "52:54:00:00:00:99 asked and got no answer: is the registered address right?",
    ),
    (facts([ASKED, ASKED]), BootPlace.DHCP_ANSWER, "asked for an address, last at 22:13:21 UTC"),
    (
        facts([(BootSign.DHCP_REFUSAL, "DHCPDISCOVER no address available")]),
        BootPlace.DHCP_ANSWER,
        "no address available",
    ),
    (facts([ASKED, OFFERED, LEASED]), BootPlace.BOOT_LOADER, "got an address at 22:13:22 UTC and asked"),
    (facts([LEASED, LOADER, NO_UUID, ENTRY, NO_KERNEL]), BootPlace.BOOT_FILE, "images_grub/gone"),
    (facts([LEASED, LOADER, NO_UUID, NO_UUID]), BootPlace.BOOT_FILE, "pxelinux.cfg/b8945908"),
    (facts([LOADER, (BootSign.FILE_FAILED, "/a: HTTP status 500")]), BootPlace.BOOT_FILE, "HTTP status 500"),
    (facts([LEASED, LOADER, NO_UUID, ENTRY, KERNEL]), BootPlace.KERNEL, "deploy-vmlinuz, at 22:13:24 UTC"),
    (facts([KERNEL, ASKED]), BootPlace.NETWORK, "its system asked for an address"),
    (facts([KERNEL, LEASED]), BootPlace.SSH, "does not answer on ssh"),
    (
        facts([KERNEL], ["Linux version 6.1.0", "Kernel panic - not syncing: No working init found."]),
        BootPlace.KERNEL_PANIC,
        "the kernel panicked at 22:15:01 UTC: No working init found.",
    ),
    (facts([KERNEL], ["Linux version 6.1.0"]), BootPlace.KERNEL, "started at 22:15:00 UTC"),
    (
        facts(
            [KERNEL], [STARTED, "kadeploy: no driver for the network card 0000:00:03.0", "kadeploy: no network card"]
        ),
        BootPlace.DRIVER,
        "no network card",
    ),
    (facts([KERNEL], [STARTED, "kadeploy: no link on eth0 (virtio)"]), BootPlace.NETWORK, "no link on eth0"),
    (facts([KERNEL], [STARTED, "kadeploy: no disk found; looking again in 5 s"]), BootPlace.DISK, "no disk found"),
    (facts([KERNEL], [STARTED, "kadeploy: deployment environment ready (3s) node-1"]), BootPlace.SSH, "was ready at"),
    (facts([KERNEL], wrong=True, seen="it runs tiny from /dev/vda3"), BootPlace.WRONG_SYSTEM, "it runs tiny"),
    (
        facts([], ["PXE-E51: No DHCP or proxyDHCP offers were received."]),
        BootPlace.DHCP_REQUEST,
        "the firmware says: PXE-E51",
    ),
    (BootFacts(mac_address=MAC, since=BEGIN), BootPlace.UNKNOWN, ""),
]


@pytest.mark.parametrize(("known", "place", "words"), CASES)
def test_every_place_is_named(known: BootFacts, place: BootPlace, words: str) -> None:
    found = diagnose(known)
    assert found.place is place
    assert words in found.description


def test_each_place_has_a_case() -> None:
    assert {place for _, place, _ in CASES} == set(BootPlace)


def test_what_was_before_the_boot_says_nothing_of_it() -> None:
    old = BootRecord(time=BEGIN - 1, sign=BootSign.DHCP_LEASE, detail="DHCPACK")
    assert diagnose(BootFacts(mac_address=MAC, since=BEGIN, records=[old], logs_read=True)).records == ()
