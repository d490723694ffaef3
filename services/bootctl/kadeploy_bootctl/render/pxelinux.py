"""pxelinux files, for machines with a BIOS. Paths in them are relative to the loader's repository."""

from collections.abc import Mapping
from dataclasses import dataclass

from kadeploy_bootctl.domain import digest
from kadeploy_bootctl.domain.boot_entry import BootEntry, BootNode, Firmware, address_name, hardware_name
from kadeploy_bootctl.domain.boot_target import (
    ChainloadTarget,
    CustomTarget,
    GrubDiskTarget,
    LabelTarget,
    LocalDiskTarget,
    MultibootTarget,
    NetworkTarget,
    name_of,
)
from kadeploy_bootctl.domain.errors import InvalidBootEntry, LabelNotFound, TargetNotSupported
from kadeploy_bootctl.domain.label import KernelLabel
from kadeploy_bootctl.domain.texts import LONGEST_COMMAND_LINE, check_custom_text, check_loader_lines
from kadeploy_bootctl.render import boot_template

MARK = "# Written by kadeploy-bootctl"
"""How the first line of each of our files begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the settings say of every file.

    Attributes:
        files_path: the directory of kernels and initrds, relative to the repository.
        labels: the deployment kernels by label.
        serial: the loader's serial console as "PORT SPEED"; empty for none.
    """

    files_path: str
    labels: Mapping[str, KernelLabel]
    serial: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryText:
    """The gaps of `entry.tmpl`."""

    header: str
    serial: str
    stanza: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinuxText:
    """The gaps of `linux.tmpl`."""

    kernel: str
    initrd: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramText:
    """The gaps of `program.tmpl`."""

    program: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomText:
    """The gaps of `custom.tmpl`."""

    header: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoText:
    """The gaps of `local_disk.tmpl`: none."""


def render(entry: BootEntry, site: Site) -> str:
    """Returns the text of the node's file.

    Raises:
        LabelNotFound: the settings do not know the label.
        TargetNotSupported: pxelinux cannot do it.
        InvalidBootEntry: a line would be longer than the kernel or the loader takes.
    """
    if entry.node.firmware is not Firmware.BIOS:
        raise TargetNotSupported(name_of(entry.target), "UEFI")
    if isinstance(entry.target, CustomTarget):
        values = CustomText(header=_header(entry), text=_custom(entry.node, entry.target, site))
        return boot_template.fill("custom.tmpl", values)
    return _loader_file(_header(entry), _stanza(entry, site), site)


def render_default(site: Site) -> str:
    """Returns the text of the file for machines without an entry: they boot their disk."""
    header = f"{MARK[2:]} for machines without an entry: they boot from their disk."
    return _loader_file(header, boot_template.fill("local_disk.tmpl", NoText()), site)


def _loader_file(header: str, stanza: str, site: Site) -> str:
    serial = f"SERIAL {site.serial}\n" if site.serial else ""
    return boot_template.fill("entry.tmpl", EntryText(header=header, serial=serial, stanza=stanza.rstrip("\n")))


def _header(entry: BootEntry) -> str:
    return f"{MARK[2:]} for {entry.node.name}, owner: {entry.owner or '-'}. Changes by hand are lost."


def _stanza(entry: BootEntry, site: Site) -> str:
    match entry.target:
        case LabelTarget() as target:
            label = site.labels.get(target.label)
            if label is None:
                known = ", ".join(sorted(site.labels)) or "none"
                raise LabelNotFound(target.label, f"is not in the settings, which know: {known}")
            words = " ".join(filter(None, (label.arguments, target.arguments)))
            initrd = _path(site, label.initrd) if label.initrd else ""
            return _linux(entry.node, "target.label.arguments", _path(site, label.kernel), initrd, words)
        case NetworkTarget() as target:
            kernel = _path(site, digest.file_name(target.kernel_digest))
            initrd = _path(site, digest.file_name(target.initrd_digest)) if target.initrd_digest else ""
            return _linux(entry.node, "target.network.arguments", kernel, initrd, target.arguments)
        case ChainloadTarget() as target:
            place = f"hd{target.disk} {target.partition}" if target.partition else f"hd{target.disk}"
            return boot_template.fill("program.tmpl", ProgramText(program="chain.c32", arguments=place))
        case MultibootTarget() as target:
            return _multiboot(target, site)
        case LocalDiskTarget():
            return boot_template.fill("local_disk.tmpl", NoText())
        case GrubDiskTarget() | CustomTarget():
            raise TargetNotSupported(name_of(entry.target), "BIOS")


def _linux(node: BootNode, field: str, kernel: str, initrd: str, arguments: str) -> str:
    # The command line as pxelinux puts it together from KERNEL, APPEND, INITRD and IPAPPEND.
    words = [f"BOOT_IMAGE={kernel}", arguments, f"initrd={initrd}" if initrd else "", f"BOOTIF={hardware_name(node)}"]
    length = len(" ".join(filter(None, words)))
    if length > LONGEST_COMMAND_LINE:
        raise InvalidBootEntry(
            field, f"makes a kernel command line of {length} characters; a kernel takes {LONGEST_COMMAND_LINE}"
        )
    # APPEND with a dash alone means: nothing at all, not even what stands outside of the label.
    values = LinuxText(kernel=kernel, initrd=f"  INITRD {initrd}\n" if initrd else "", arguments=arguments or "-")
    return boot_template.fill("linux.tmpl", values)


def _multiboot(target: MultibootTarget, site: Site) -> str:
    parts = [(target.hypervisor_digest, target.hypervisor_arguments)]
    parts += [(module.digest, module.arguments) for module in target.modules]
    words = [" ".join(filter(None, (_path(site, digest.file_name(name)), text))) for name, text in parts]
    stanza = boot_template.fill("program.tmpl", ProgramText(program="mboot.c32", arguments=" --- ".join(words)))
    check_loader_lines("target.multiboot", stanza)
    return stanza


def _custom(node: BootNode, target: CustomTarget, site: Site) -> str:
    text = target.text.replace("NODE_SINGULARITY", address_name(node)).replace("FILES_PREFIX", site.files_path)
    check_custom_text("target.custom.text", text)
    return text.rstrip("\n")


def _path(site: Site, name: str) -> str:
    return f"{site.files_path}/{name}"
