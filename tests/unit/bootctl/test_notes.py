"""Notes come back as they were written; anything else is refused with a word."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_bootctl.app.ports import WrittenEntry
from kadeploy_bootctl.domain.boot_entry import BootEntry, BootNode, Firmware
from kadeploy_bootctl.domain.boot_target import (
    TARGETS,
    BootTarget,
    ChainloadTarget,
    CustomTarget,
    GrubDiskTarget,
    LabelTarget,
    LocalDiskTarget,
    MultibootModule,
    MultibootTarget,
    NetworkTarget,
)
from kadeploy_bootctl.tree import notes

KERNEL = "sha256:" + "a" * 64
TARGETS_TO_KEEP: list[BootTarget] = [
    LabelTarget(label="deploy", arguments="a=b"),
    NetworkTarget(kernel_digest=KERNEL, initrd_digest=KERNEL, arguments="root=/dev/vda3"),
    GrubDiskTarget(device="sda", partition=3, kernel_path="/vmlinuz", initrd_path="/initrd", arguments="ro"),
    ChainloadTarget(disk=1, partition=2),
    LocalDiskTarget(),
    MultibootTarget(hypervisor_digest=KERNEL, modules=(MultibootModule(digest=KERNEL, arguments="x"),)),
    CustomTarget(text='DEFAULT "x"\n'),
]


@pytest.mark.parametrize("target", TARGETS_TO_KEEP)
def test_an_entry_comes_back_from_its_note(target: BootTarget) -> None:
    node = BootNode(name="n1", mac_address="52:54:00:00:00:01", ip_address="10.0.0.1", firmware=Firmware.UEFI)
    time = datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
    written = WrittenEntry(entry=BootEntry(node=node, target=target, owner="d1", update_time=time), text="text\n")
    again = notes.read_entry_note(notes.entry_note(written))
    assert again == written
    assert again.entry.update_time == time


def test_every_target_is_kept() -> None:
    assert {type(target) for target in TARGETS_TO_KEEP} == set(TARGETS.values())


@given(st.binary(max_size=200) | st.sampled_from([b'{"version": 1}', b'{"version": 2, "node": {}}', b"[]", b'"x"']))
def test_what_is_no_note_is_refused(content: bytes) -> None:
    for read in (notes.read_entry_note, notes.read_file_note, notes.read_pending_note):
        with pytest.raises(notes.UnreadableNote):
            read(content)


def test_a_note_with_an_entry_that_is_not_valid_is_refused() -> None:
    node = BootNode(name="n1", mac_address="52:54:00:00:00:01", ip_address="10.0.0.1")
    note = notes.entry_note(WrittenEntry(entry=BootEntry(node=node, target=LocalDiskTarget()), text=""))
    with pytest.raises(notes.UnreadableNote):
        notes.read_entry_note(note.replace(b'"n1"', b'"../n1"'))
