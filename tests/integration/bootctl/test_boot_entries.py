"""Setting, showing, listing and clearing entries through the contract; what then stands in the tree."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2
from kadeploy_edge.status import from_rpc_error, from_status

pytestmark = pytest.mark.integration

ABSENT = "sha256:" + "0" * 64


def label(name: str = "deploy", arguments: str = "") -> boot_entry_pb2.LabelTarget:
    return boot_entry_pb2.LabelTarget(label=name, arguments=arguments)


def custom(text: str) -> boot_entry_pb2.CustomTarget:
    return boot_entry_pb2.CustomTarget(text=text)


def reasons(results: list[bootctl_service_pb2.BootEntryResult]) -> list[str]:
    return [from_status(result.status).reason if result.status.code else "OK" for result in results]


def refusal(call: Callable[..., Any], request: Any) -> str:
    with pytest.raises(grpc.RpcError) as error:
        call(request, timeout=10)
    return from_rpc_error(error.value).reason


def booted(directory: Path, mac: str, ip: str, uuid: str = "0" * 8) -> str:
    """Returns the name that pxelinux takes: UUID, network card, then the address shortened digit by digit, default."""
    names = [uuid, f"01-{mac.replace(':', '-')}", *(ip[:length] for length in range(8, 0, -1)), "default"]
    return next(name for name in names if (directory / name).is_file())


def test_an_entry_stands_under_both_names_in_both_repositories(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    assert reasons(deployer.set(make_entry(11, label=label(arguments="token=1")))) == ["OK"]
    files = laid_out.node_files()
    paths = [
        "PXEClient/pxelinux.cfg/01-52-54-00-00-00-0b",
        "PXEClient/pxelinux.cfg/AC1F000B",
        "X86PC/linux/pxelinux.cfg/01-52-54-00-00-00-0b",
        "X86PC/linux/pxelinux.cfg/AC1F000B",
    ]
    defaults = {"PXEClient/pxelinux.cfg/default", "X86PC/linux/pxelinux.cfg/default"}
    assert set(files) == {*paths, *defaults}
    assert len({files[path] for path in paths}) == 1
    assert "  APPEND console=ttyS0 token=1\n" in files[paths[0]]
    answer = deployer.boot.GetBootEntry(bootctl_service_pb2.GetBootEntryRequest(node="node-11"), timeout=10)
    assert [(file.path, file.text) for file in answer.files] == [(path, files[path]) for path in paths]
    assert answer.entry.owner == "d1"
    assert answer.entry.target.label.label == "deploy"
    assert answer.entry.update_time.seconds > 0


def test_files_are_readable_for_the_tftp_server_and_notes_are_not(
    laid_out: Any, deployer: Any, make_entry: Any
) -> None:
    deployer.set(make_entry(11))
    for path in (laid_out.first / "pxelinux.cfg").iterdir():
        assert path.stat().st_mode & 0o777 == 0o644
    notes = laid_out.first / "images_grub" / ".bootctl"
    assert notes.stat().st_mode & 0o777 == 0o700
    assert (notes / "entries" / "node-11").stat().st_mode & 0o777 == 0o600


def test_nothing_temporary_stays(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    deployer.upload(b"kernel")
    deployer.set(*(make_entry(number) for number in range(1, 20)))
    deployer.set(*(make_entry(number, label=label()) for number in range(1, 20)))
    names = [path.name for path in laid_out.tftp_root.rglob("*")]
    assert not [name for name in names if name.endswith(".tmp") or name == "pending"]


def test_a_machine_takes_its_entry_and_without_one_the_default(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    mac, ip = "52:54:00:00:00:0b", "AC1F000B"
    for place in (laid_out.first / "pxelinux.cfg", laid_out.second / "pxelinux.cfg"):
        (place / ip).write_text("yesterday's file by address\n")
        (place / "AC1F").write_text("a file for the whole network\n")
    deployer.set(make_entry(11))
    for place in (laid_out.first / "pxelinux.cfg", laid_out.second / "pxelinux.cfg"):
        assert booted(place, mac, ip) == "01-52-54-00-00-00-0b"
        assert booted(place, "52:54:00:00:00:99", ip) == ip
        assert "node-11" in (place / ip).read_text()
    deployer.boot.ClearBootEntries(bootctl_service_pb2.ClearBootEntriesRequest(nodes="node-11"), timeout=10)
    for place in (laid_out.first / "pxelinux.cfg", laid_out.second / "pxelinux.cfg"):
        assert booted(place, mac, ip) == "AC1F"
        (place / "AC1F").unlink()
        assert booted(place, mac, ip) == "default"
        assert "LOCALBOOT 0" in (place / "default").read_text()


def test_a_file_of_somebody_else_is_set_aside(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    theirs = laid_out.first / "pxelinux.cfg" / "AC1F000B"
    theirs.write_text("theirs\n")
    deployer.set(make_entry(11))
    assert "node-11" in theirs.read_text()
    assert theirs.with_name("AC1F000B.replaced").read_text() == "theirs\n"


def test_a_symbolic_link_at_the_name_is_not_followed(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    victim = laid_out.directory / "victim"
    victim.write_text("precious\n")
    link = laid_out.first / "pxelinux.cfg" / "AC1F000B"
    link.symlink_to(victim)
    assert reasons(deployer.set(make_entry(11))) == ["OK"]
    assert victim.read_text() == "precious\n"
    assert not link.is_symlink()


def test_a_directory_that_became_a_symbolic_link_is_refused(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    place = laid_out.first / "pxelinux.cfg"
    place.rename(laid_out.directory / "elsewhere")
    place.symlink_to(laid_out.directory / "elsewhere")
    before = sorted(path.name for path in (laid_out.directory / "elsewhere").iterdir())
    request = bootctl_service_pb2.SetBootEntriesRequest(entries=[make_entry(11)])
    assert refusal(deployer.boot.SetBootEntries, request) == "TREE_DAMAGED"
    assert sorted(path.name for path in (laid_out.directory / "elsewhere").iterdir()) == before


def test_a_node_with_a_new_card_leaves_no_file_of_the_old_one(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    deployer.set(make_entry(11))
    deployer.set(make_entry(12, name="node-11"))
    names = {Path(path).name for path in laid_out.node_files()}
    assert names == {"01-52-54-00-00-00-0c", "AC1F000C", "default"}


def test_a_machine_whose_uuid_is_known_has_a_file_under_its_first_choice(
    laid_out: Any, deployer: Any, administrator: Any, make_entry: Any
) -> None:
    uuid = "b8945908-d6a6-41a9-611d-74a6ab80b83d"
    entry = make_entry(11)
    entry.node.uuid = uuid
    assert reasons(deployer.set(entry)) == ["OK"]
    configuration = laid_out.first / "pxelinux.cfg"
    # As it lies in the memory of most machines, and as some firmware and cards turn it themselves.
    for asked in ("085994b8-a6d6-a941-611d-74a6ab80b83d", uuid):
        assert booted(configuration, entry.node.mac_address, "AC1F000B", asked) == asked
        assert (configuration / asked).read_text() == (configuration / "AC1F000B").read_text()
    checked = administrator.tree.CheckTree(bootctl_service_pb2.CheckTreeRequest()).findings
    assert [finding.path for finding in checked if uuid in finding.path] == []
    other = make_entry(12)
    other.node.uuid = uuid
    assert "belongs to the entry of node node-11" in deployer.set(other)[0].status.message
    entry.node.uuid = ""
    deployer.set(entry)
    left = {path.name for path in configuration.iterdir()}
    assert left == {"01-52-54-00-00-00-0b", "AC1F000B", "default", "grub.cfg"}
    entry.node.uuid = "ffffffff-ffff-ffff-ffff-ffffffffffff"
    assert reasons(deployer.set(entry)) == ["INVALID_BOOT_ENTRY"]


def test_bad_entries_do_not_stop_the_others(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    network = boot_entry_pb2.NetworkTarget(kernel_digest=ABSENT)
    multiline = label(arguments="a\nb")
    uefi = make_entry(5, label=label(arguments="a='b'"))
    uefi.node.firmware = boot_entry_pb2.BOOT_FIRMWARE_UEFI
    results = deployer.set(
        make_entry(1, label=label()),
        make_entry(2, label=label("unknown")),
        make_entry(3, label=label("absent")),
        make_entry(4, network=network),
        uefi,
        make_entry(6, grub_disk=boot_entry_pb2.GrubDiskTarget(device="vda", partition=3, kernel_path="vmlinuz")),
        make_entry(7, label=multiline),
        make_entry(8, name="../8"),
        make_entry(1, name="node-1-again"),
        make_entry(9, custom=custom("DEFAULT x\n")),
        boot_entry_pb2.BootEntry(node=make_entry(10).node),
        make_entry(11),
    )
    assert reasons(results) == [
        "OK",
        "LABEL_NOT_FOUND",
        "LABEL_NOT_FOUND",
        "BOOT_FILE_NOT_FOUND",
        "INVALID_BOOT_ENTRY",
        "INVALID_BOOT_ENTRY",
        "INVALID_BOOT_ENTRY",
        "INVALID_BOOT_ENTRY",
        "INVALID_BOOT_ENTRY",
        "ADMINISTRATORS_ONLY",
        "INVALID_BOOT_ENTRY",
        "OK",
    ]
    assert [result.node for result in results[:2]] == ["node-1", "node-2"]
    assert from_status(results[6].status).violations[0].field == "target.label.arguments"
    assert from_status(results[8].status).violations[0].field == "node.mac_address"
    assert "label install absent" in results[2].status.message
    assert len(laid_out.node_files()) == 2 * 2 * 2 + 2


def test_an_administrator_may_write_custom_text(laid_out: Any, administrator: Any, make_entry: Any) -> None:
    results = administrator.set(make_entry(9, custom=custom("DEFAULT x\nLABEL x\n  KERNEL FILES_PREFIX/x\n")))
    assert reasons(results) == ["OK"]
    assert "KERNEL images_grub/x" in laid_out.node_files()["PXEClient/pxelinux.cfg/AC1F0009"]


def test_writing_the_same_again_changes_nothing(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    entry = make_entry(11, label=label())
    deployer.set(entry)
    path = laid_out.first / "pxelinux.cfg" / "AC1F000B"
    before = path.stat()
    assert reasons(deployer.set(entry)) == ["OK"]
    assert path.stat().st_ino == before.st_ino
    # …unless somebody lost a file in between.
    (laid_out.second / "pxelinux.cfg" / "AC1F000B").unlink()
    deployer.set(entry)
    assert (laid_out.second / "pxelinux.cfg" / "AC1F000B").is_file()


def test_rendering_writes_nothing_and_tells_what_setting_would_write(
    laid_out: Any, deployer: Any, make_entry: Any
) -> None:
    entries = [make_entry(1, label=label()), make_entry(2, label=label("unknown"))]
    before = laid_out.node_files()
    request = bootctl_service_pb2.RenderBootEntriesRequest(entries=entries)
    rendered = deployer.boot.RenderBootEntries(request, timeout=10).entries
    assert laid_out.node_files() == before
    assert [entry.status.code for entry in rendered] == [0, grpc.StatusCode.NOT_FOUND.value[0]]
    deployer.set(*entries)
    written = {path: text for path, text in laid_out.node_files().items() if path not in before}
    assert {file.path: file.text for file in rendered[0].files} == written


def test_entries_are_listed_in_pages_by_name(deployer: Any, make_entry: Any) -> None:
    deployer.set(*(make_entry(number) for number in range(1, 8)))
    found: list[str] = []
    token = ""
    while True:
        request = bootctl_service_pb2.ListBootEntriesRequest(page_size=2, page_token=token, nodes="node-[2-6]")
        page = deployer.boot.ListBootEntries(request, timeout=10)
        found += [entry.node.name for entry in page.entries]
        token = page.next_page_token
        if not token:
            break
    assert found == ["node-2", "node-3", "node-4", "node-5", "node-6"]
    request = bootctl_service_pb2.ListBootEntriesRequest(page_token="x")
    assert refusal(deployer.boot.ListBootEntries, request) == "INVALID_PAGE_TOKEN"
    request = bootctl_service_pb2.ListBootEntriesRequest(page_size=-1)
    assert refusal(deployer.boot.ListBootEntries, request) == "INVALID_PAGE_SIZE"
    request = bootctl_service_pb2.ListBootEntriesRequest(nodes="n[1-")
    assert refusal(deployer.boot.ListBootEntries, request) == "INVALID_NODE_SET"


def test_clearing_may_be_repeated_and_names_every_node(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    deployer.set(make_entry(1), make_entry(2))
    request = bootctl_service_pb2.ClearBootEntriesRequest(nodes="node-[1-3]")
    for _ in range(2):
        results = list(deployer.boot.ClearBootEntries(request, timeout=10).results)
        assert [result.node for result in results] == ["node-1", "node-2", "node-3"]
        assert reasons(results) == ["OK", "OK", "OK"]
    assert {Path(path).name for path in laid_out.node_files()} == {"default"}
    get = bootctl_service_pb2.GetBootEntryRequest(node="node-1")
    assert refusal(deployer.boot.GetBootEntry, get) == "BOOT_ENTRY_NOT_FOUND"


def test_the_contract_says_who_may_call(stubs_for: Any, make_entry: Any) -> None:
    request = bootctl_service_pb2.SetBootEntriesRequest(entries=[make_entry(1)])
    for caller in ("user:alice", "inventory", ""):
        assert refusal(stubs_for(caller).boot.SetBootEntries, request) == "CALLER_NOT_ALLOWED"
    check = bootctl_service_pb2.CheckTreeRequest()
    assert refusal(stubs_for("deployer").tree.CheckTree, check) == "CALLER_NOT_ALLOWED"


def test_more_than_10000_entries_are_refused_at_once(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    request = bootctl_service_pb2.SetBootEntriesRequest(entries=[make_entry(1)] * 10_001)
    assert refusal(deployer.boot.SetBootEntries, request) == "OUT_OF_BOUNDS"
    assert {Path(path).name for path in laid_out.node_files()} == {"default"}


def test_hundreds_of_entries_go_in_one_call(laid_out: Any, deployer: Any, make_entry: Any) -> None:
    entries = [make_entry(number, label=label()) for number in range(1, 401)]
    assert set(reasons(deployer.set(*entries))) == {"OK"}
    assert len(laid_out.node_files()) == 4 * 400 + 2


def test_a_call_may_be_larger_than_four_mebibytes(deployer: Any, make_entry: Any) -> None:
    entries = [make_entry(number, label=label(arguments="x" * 1700)) for number in range(1, 3001)]
    request = bootctl_service_pb2.RenderBootEntriesRequest(entries=entries)
    assert request.ByteSize() > 4 * 1024 * 1024
    answer = deployer.boot.RenderBootEntries(request, timeout=10)
    assert {entry.status.code for entry in answer.entries} == {0}
