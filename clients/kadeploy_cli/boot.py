"""Boot entries and deployment kernels, as bootctl tells them."""

from kadeploy.bootctl.v1 import boot_entry_pb2, bootctl_service_pb2
from kadeploy_cli import output
from kadeploy_cli.exit_codes import ExitCode
from kadeploy_cli.plain import plain
from kadeploy_cli.session import Session


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
    for file in answer.files:
        output.show_text(f"\n{file.path}:", file.text)
    return ExitCode.OK


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
