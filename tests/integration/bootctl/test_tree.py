"""Checking and reconciling the tree, labels, restarts."""

import os
from typing import Any

import pytest

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2
from kadeploy_bootctl import bootstrap
from kadeploy_bootctl.app.ports import WrittenEntry
from kadeploy_bootctl.domain.boot_entry import BootEntry, BootNode
from kadeploy_bootctl.domain.boot_target import LocalDiskTarget
from kadeploy_bootctl.render.loader_file import render
from kadeploy_bootctl.render.site import Site
from kadeploy_bootctl.settings import Settings
from kadeploy_bootctl.tree.entry_store import TftpEntryStore, TreeInUse
from tests.integration.bootctl.conftest import digest_of, serving_bootctl

pytestmark = pytest.mark.integration

UUID = "b8945908-d6a6-41a9-611d-74a6ab80b83d"


def findings(answer: Any) -> list[tuple[str, str, bool]]:
    return [
        (
            bootctl_service_pb2.TreeFindingKind.Name(finding.kind).removeprefix("TREE_FINDING_KIND_"),
            finding.path,
            finding.repaired,
        )
        for finding in answer.findings
    ]


def reconcile(stubs: Any, *, repair: bool) -> list[tuple[str, str, bool]]:
    return findings(stubs.tree.ReconcileTree(bootctl_service_pb2.ReconcileTreeRequest(repair=repair), timeout=10))


def check(stubs: Any) -> list[tuple[str, str, bool]]:
    return findings(stubs.tree.CheckTree(bootctl_service_pb2.CheckTreeRequest(), timeout=10))


def network(kernel: bytes) -> boot_entry_pb2.NetworkTarget:
    return boot_entry_pb2.NetworkTarget(kernel_digest=digest_of(kernel))


def test_a_check_tells_everything_that_keeps_machines_from_booting(laid_out: Any, administrator: Any) -> None:
    absent = [(place, "images_grub/absent-vmlinuz") for place in ("PXEClient", "X86PC/linux")]
    expected = [("MISSING_FILE", f"{place}/{name}", False) for place, name in absent]
    assert check(administrator) == expected
    (laid_out.first / "ldlinux.c32").unlink()
    (laid_out.second / "pxelinux.cfg" / "default").unlink()
    (laid_out.second / "linux.0").chmod(0o600)
    (laid_out.second / "images_grub").chmod(0o700)
    (laid_out.first / "pxelinux.cfg" / UUID).write_text("x")
    assert sorted(check(administrator)) == sorted(
        [
            *expected,
            ("MISSING_LOADER", "PXEClient/ldlinux.c32", False),
            ("MISSING_LOADER", "X86PC/linux/linux.0", False),
            ("MISSING_FILE", "X86PC/linux/pxelinux.cfg/default", False),
            ("NOT_WRITABLE", "X86PC/linux/images_grub", False),
            ("UNKNOWN_FILE", f"PXEClient/pxelinux.cfg/{UUID}", False),
        ]
    )


def test_a_check_tells_loaders_that_are_not_the_installed_ones(laid_out: Any, administrator: Any) -> None:
    before = check(administrator)
    (laid_out.first / "ldlinux.c32").write_bytes(b"of another release")
    (laid_out.first / "chain.c32").write_bytes(b"")
    found = [one for one in check(administrator) if one not in before]
    assert sorted(found) == [
        ("CHANGED_FILE", "PXEClient/ldlinux.c32", False),
        ("MISSING_LOADER", "PXEClient/chain.c32", False),
    ]
    # A host that has not the package installed cannot tell.
    (laid_out.directory / "syslinux" / "modules" / "bios" / "ldlinux.c32").unlink()
    assert [path for kind, path, _ in check(administrator) if kind == "CHANGED_FILE"] == []


def test_a_check_tells_where_others_could_change_what_machines_boot(laid_out: Any, administrator: Any) -> None:
    before = check(administrator)
    for path, mode in (("PXEClient", 0o777), ("X86PC/linux/pxelinux.cfg", 0o757)):
        (laid_out.tftp_root / path).chmod(mode)
    (laid_out.first / "images_grub" / ".bootctl").chmod(0o755)
    found = [one for one in check(administrator) if one not in before]
    assert sorted(found) == [
        ("UNSAFE_PERMISSIONS", "PXEClient", False),
        ("UNSAFE_PERMISSIONS", "PXEClient/images_grub/.bootctl", False),
        ("UNSAFE_PERMISSIONS", "X86PC/linux/pxelinux.cfg", False),
    ]


def test_a_check_tells_little_space(administrator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = check(administrator)
    monkeypatch.setattr("kadeploy_bootctl.tree.directory.Directory.free_bytes", lambda _: 1000)
    found = [path for kind, path, _ in check(administrator) if kind == "LITTLE_SPACE"]
    places = [f"{place}/{name}" for place in ("PXEClient", "X86PC/linux") for name in ("pxelinux.cfg", "images_grub")]
    assert sorted(found) == sorted(places)
    assert len(check(administrator)) == len(before) + len(places)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
def test_a_check_by_root_tells_a_directory_that_is_another_s_than_the_notes(laid_out: Any, capsys: Any) -> None:
    os.chown(laid_out.second / "images_grub", 65534, 65534)
    assert laid_out.run("check") == 1
    said = capsys.readouterr().out
    assert "not_writable: X86PC/linux/images_grub: it belongs to nobody and bootctl's notes to root: chown it" in said


def test_labels_are_listed(deployer: Any) -> None:
    labels = deployer.tree.ListLabels(bootctl_service_pb2.ListLabelsRequest(), timeout=10).labels
    assert [(label.name, label.kernel, label.initrd, label.arguments) for label in labels] == [
        ("absent", "absent-vmlinuz", "", ""),
        ("deploy", "deploy-vmlinuz", "deploy-initrd", "console=ttyS0"),
    ]


def test_our_own_files_are_put_right(laid_out: Any, administrator: Any, make_entry: Any) -> None:
    administrator.upload(b"kernel")
    administrator.set(make_entry(1, network=network(b"kernel")), make_entry(2))
    assert reconcile(administrator, repair=False) == []
    files = laid_out.node_files()
    name = digest_of(b"kernel").replace(":", "-")
    (laid_out.first / "pxelinux.cfg" / "AC1F0001").unlink()
    changed = laid_out.second / "pxelinux.cfg" / "AC1F0002"
    changed.unlink()
    changed.write_text("somebody's own idea")
    (laid_out.second / "images_grub" / name).unlink()
    (laid_out.first / "images_grub" / ".bootctl" / "entries" / "node-2").write_text("{")
    wrong = [
        ("MISSING_FILE", "PXEClient/pxelinux.cfg/AC1F0001"),
        ("CHANGED_FILE", "X86PC/linux/pxelinux.cfg/AC1F0002"),
        ("CHANGED_FILE", "PXEClient/images_grub/.bootctl/entries/node-2"),
        ("MISSING_FILE", f"X86PC/linux/images_grub/{name}"),
    ]
    assert reconcile(administrator, repair=False) == [(*finding, False) for finding in wrong]
    assert reconcile(administrator, repair=True) == [(*finding, True) for finding in wrong]
    assert reconcile(administrator, repair=False) == []
    assert laid_out.node_files() == files


def test_a_leftover_of_ours_goes_and_a_file_of_others_stays(laid_out: Any, administrator: Any, make_entry: Any) -> None:
    administrator.set(make_entry(1))
    place = laid_out.first / "pxelinux.cfg"
    (place / "AC1F0063").write_bytes((place / "AC1F0001").read_bytes())
    (place / "C0A8").write_text("theirs")
    (laid_out.first / "images_grub" / "memtest").write_text("theirs")
    expected = [
        ("UNKNOWN_FILE", "PXEClient/pxelinux.cfg/AC1F0063", True),
        ("UNKNOWN_FILE", "PXEClient/pxelinux.cfg/C0A8", False),
        ("UNKNOWN_FILE", "PXEClient/images_grub/memtest", False),
    ]
    assert reconcile(administrator, repair=True) == expected
    assert not (place / "AC1F0063").exists()
    assert (place / "C0A8").read_text() == "theirs"
    assert (laid_out.first / "images_grub" / "memtest").exists()


def test_a_boot_file_whose_content_rotted_is_removed_to_be_uploaded_again(laid_out: Any, administrator: Any) -> None:
    administrator.upload(b"kernel")
    name = digest_of(b"kernel").replace(":", "-")
    (laid_out.first / "images_grub" / name).write_bytes(b"kernex")  # both repositories: one file with two names
    assert len(reconcile(administrator, repair=True)) == 2
    assert not (laid_out.second / "images_grub" / name).exists()
    administrator.upload(b"kernel")
    assert reconcile(administrator, repair=False) == []


def test_a_tree_has_one_server_and_its_entries_survive_it(laid_out: Any) -> None:
    settings = Settings.load(laid_out.settings_file)
    first, second = (TftpEntryStore(bootstrap.layout_of(settings)) for _ in range(2))
    first.open()
    written = [written_entry(bootstrap.site_of(settings), f"n{number}", number) for number in (1, 2)]
    first.put(written)
    with pytest.raises(TreeInUse):
        second.open()
    first.close()
    second.open()
    assert second.all() == written
    second.close()


def test_a_batch_that_was_cut_off_is_finished_by_the_next_start(laid_out: Any) -> None:
    layout = bootstrap.layout_of(Settings.load(laid_out.settings_file))
    store = TftpEntryStore(layout)
    store.open()
    runtime_site = bootstrap.site_of(Settings.load(laid_out.settings_file))
    written = written_entry(runtime_site, "n1", 1)
    moved = written_entry(runtime_site, "n1", 2)
    assert store.put([written]) == [None]
    files = laid_out.node_files()
    assert store.put([moved]) == [None]
    store.close()
    # As a kill would leave it: the journal and the new note are there, the files are the old ones.
    place = laid_out.first / "pxelinux.cfg"
    for name in ("01-52-54-00-00-00-01", "AC1F0001"):
        (place / name).write_text(files[f"PXEClient/pxelinux.cfg/{name}"])
    (place / "AC1F0002").unlink()
    state = laid_out.first / "images_grub" / ".bootctl"
    names = '["01-52-54-00-00-00-01", "AC1F0001", "01-52-54-00-00-00-02", "AC1F0002"]'
    (state / "pending").write_text(f'{{"version": 1, "nodes": ["n1"], "names": {names}}}')
    (place / ".bootctl-1-1.tmp").write_text("half")
    again = TftpEntryStore(layout)
    again.open()
    again.close()
    assert {path.name for path in place.iterdir()} == {"01-52-54-00-00-00-02", "AC1F0002", "default", "grub.cfg"}
    assert not (state / "pending").exists()


def written_entry(site: Site, name: str, number: int) -> WrittenEntry:
    node = BootNode(name=name, mac_address=f"52:54:00:00:00:{number:02x}", ip_address=f"172.31.0.{number}")
    entry = BootEntry(node=node, target=LocalDiskTarget(), owner="d1")
    return WrittenEntry(entry=entry, text=render(entry, site))


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_machines_can_read_their_files_whatever_the_umask_and_nobody_our_notes(
    bed: Any, make_entry: Any, umask: int
) -> None:
    before = os.umask(umask)
    try:
        assert bed.run("init") == 0
        kernel, initrd = str(bed.directory / "kernel"), str(bed.directory / "initrd")
        assert bed.run("label", "install", "deploy", "--kernel", kernel, "--initrd", initrd) == 0
        with serving_bootctl(bed) as connect:
            deployer = connect("deployer")
            deployer.set(make_entry(1))
            deployer.upload(b"kernel")
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode & 0o777 for path in (bed.tftp_root, *bed.tftp_root.rglob("*"))}
    for path, mode in modes.items():
        private = ".bootctl" in path.parts
        wanted = {(False, True): 0o755, (False, False): 0o644, (True, True): 0o700, (True, False): 0o600}
        assert mode == wanted[private, path.is_dir()], f"{path} {mode:o}"
