"""Boot entries and deployment kernels, as bootctl tells them."""

import re
from collections.abc import Iterable

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2
from kadeploy.deployer.v1 import deployment_pb2
from kadeploy.inventory.v1 import node_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.descriptions.text import decode
from kadeploy_cli.nodes import actions as registered
from kadeploy_cli.nodes import names as node_names
from kadeploy_cli.nodes import results as node_results
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_cli.terminal.failures import Failure, UsageFailure
from kadeploy_cli.terminal.plain import plain
from kadeploy_nodeset import NodeSet, fold

BootText = bootctl_service_pb2.RenderedFile | deployment_pb2.PlannedFile
PLACE = re.compile(r"([0-9]{1,2})(?::([0-9]{1,3}))?")
FIRMWARES = {node_pb2.FIRMWARE_UEFI: boot_entry_pb2.BOOT_FIRMWARE_UEFI}
NODES_PER_CALL = 1000


def show_list(session: Session, nodes: str) -> ExitCode:
    """Prints the entries of a node set, all for the empty one."""
    bootctl = session.bootctl
    request = bootctl_service_pb2.ListBootEntriesRequest(nodes=nodes)
    found = list(bootctl.pages(bootctl.boot.ListBootEntries, request, lambda page: page.entries))
    output.show(
        session.form,
        columns=("NODE", "BOOTS", "OWNER", "SINCE"),
        rows=[
            (entry.node.name, target(entry.target), entry.owner, output.local_time(entry.update_time))
            for entry in found
        ],
        data=[plain(entry) for entry in found],
        names=[entry.node.name for entry in found],
    )
    return ExitCode.OK


def show_one(session: Session, name: str) -> ExitCode:
    """Prints a node's entry and the text of its files."""
    request = bootctl_service_pb2.GetBootEntryRequest(node=name)
    answer = session.bootctl.call(session.bootctl.boot.GetBootEntry, request)
    entry = answer.entry
    if session.form is not output.Format.TABLE:
        output.show(session.form, columns=(), rows=(), data=plain(answer), names=[entry.node.name])
        return ExitCode.OK
    output.show_fields(
        [
            ("node", entry.node.name),
            ("mac address", entry.node.mac_address),
            ("ip address", entry.node.ip_address),
            ("boots", target(entry.target)),
            ("owner", entry.owner),
            ("since", output.local_time(entry.update_time)),
        ]
    )
    for paths, text in by_text(answer.files):
        output.show_text("\n" + "\n".join(f"{path}:" for path in paths), text)
    return ExitCode.OK


def by_text(files: Iterable[BootText]) -> list[tuple[list[str], str]]:
    """Returns boot files with the same text together: a machine's stand under several names in two repositories."""
    paths: dict[str, list[str]] = {}
    for file in files:
        paths.setdefault(file.text, []).append(file.path)
    return [(same, text) for text, same in paths.items()]


def set_entries(session: Session, nodes: NodeSet, wanted: boot_entry_pb2.BootTarget) -> ExitCode:
    """Says what nodes of the inventory boot from now on, and returns the exit status."""
    known = {node.name: node for node in registered.fetch(session, str(nodes))}
    unknown = nodes - known
    if unknown:
        raise Failure(f"not registered: {unknown}", exit_code=ExitCode.NOT_FOUND, advice="`ka node list` shows all.")
    results: list[bootctl_service_pb2.BootEntryResult] = []
    for names in _parts(nodes):
        entries = [_entry(known[name], wanted, owner=session.settings.user) for name in names]
        request = bootctl_service_pb2.SetBootEntriesRequest(entries=entries)
        results += session.bootctl.call(session.bootctl.boot.SetBootEntries, request).results
    return node_results.show(session, [node_results.outcome(one.node, one.status) for one in results])


def clear_entries(session: Session, nodes: NodeSet) -> ExitCode:
    """Takes the entries of nodes away, so that they boot what the default file says; returns the exit status."""
    results: list[bootctl_service_pb2.BootEntryResult] = []
    for names in _parts(nodes):
        request = bootctl_service_pb2.ClearBootEntriesRequest(nodes=fold(names))
        results += session.bootctl.call(session.bootctl.boot.ClearBootEntries, request).results
    return node_results.show(session, [node_results.outcome(one.node, one.status) for one in results])


def _parts(nodes: NodeSet) -> Iterable[list[str]]:
    names = list(nodes)
    return (names[start : start + NODES_PER_CALL] for start in range(0, len(names), NODES_PER_CALL))


def _entry(node: node_pb2.Node, wanted: boot_entry_pb2.BootTarget, *, owner: str) -> boot_entry_pb2.BootEntry:
    machine = boot_entry_pb2.BootNode(
        name=node.name,
        mac_address=node.mac_address,
        ip_address=node.ip_address,
        firmware=FIRMWARES.get(node.firmware, boot_entry_pb2.BOOT_FIRMWARE_BIOS),
        uuid=node.uuid,
    )
    return boot_entry_pb2.BootEntry(node=machine, target=wanted, owner=owner)


def chosen_target(
    *, local_disk: bool, label: str, arguments: str, chainload: str, custom: str
) -> boot_entry_pb2.BootTarget:
    """Returns what the options of `ka boot set` ask for, or says what is wrong with them."""
    if sum(map(bool, (local_disk, label, chainload, custom))) != 1:
        raise UsageFailure(
            "one of --local-disk, --label, --chainload and --custom is needed: a machine boots one thing"
        )
    if arguments and not label:
        raise UsageFailure("--arguments says nothing without --label")
    if label:
        return boot_entry_pb2.BootTarget(label=boot_entry_pb2.LabelTarget(label=label, arguments=arguments))
    if custom:
        text = decode(node_names.read_file(custom), "stdin" if custom == "-" else custom)
        return boot_entry_pb2.BootTarget(custom=boot_entry_pb2.CustomTarget(text=text))
    if local_disk:
        return boot_entry_pb2.BootTarget(local_disk=boot_entry_pb2.LocalDiskTarget())
    found = PLACE.fullmatch(chainload)
    if not found:
        raise UsageFailure(f"--chainload {chainload!r} is not DISK or DISK:PARTITION, such as 0:3")
    place = boot_entry_pb2.ChainloadTarget(disk=int(found[1]), partition=int(found[2] or 0))
    return boot_entry_pb2.BootTarget(chainload=place)


def show_labels(session: Session) -> ExitCode:
    """Prints the deployment kernels."""
    request = bootctl_service_pb2.ListLabelsRequest()
    found = session.bootctl.call(session.bootctl.tree.ListLabels, request).labels
    output.show(
        session.form,
        columns=("LABEL", "KERNEL", "INITRD", "ARGUMENTS"),
        rows=[(label.name, label.kernel, label.initrd, label.arguments) for label in found],
        data=[plain(label) for label in found],
        names=[label.name for label in found],
    )
    return ExitCode.OK


def target(chosen: boot_entry_pb2.BootTarget) -> str:
    """Returns one line on what is booted."""
    kind = chosen.WhichOneof("kind")
    if kind == "label":
        return f"deployment kernel {chosen.label.label}"
    if kind == "network":
        return f"kernel {chosen.network.kernel_digest[:19]} by network: {chosen.network.arguments}"
    if kind == "grub_disk":
        return f"GRUB on {chosen.grub_disk.device}{chosen.grub_disk.partition}"
    if kind == "chainload":
        return f"loader of disk {chosen.chainload.disk} partition {chosen.chainload.partition}"
    return {"local_disk": "local disk", "multiboot": "hypervisor by network", "custom": "custom text"}.get(
        kind or "", ""
    )
