"""pxelinux files, for machines with a BIOS. Paths in them are relative to the loader's repository."""

from dataclasses import dataclass

from kadeploy_bootctl.domain import digest
from kadeploy_bootctl.domain.boot_entry import BootEntry, BootNode, address_name, hardware_name
from kadeploy_bootctl.domain.boot_target import (
    ChainloadTarget,
    CustomTarget,
    GrubDiskTarget,
    LabelTarget,
    LocalDiskTarget,
    MultibootTarget,
    NetworkTarget,
)
from kadeploy_bootctl.domain.errors import InvalidBootEntry
from kadeploy_bootctl.domain.texts import LONGEST_COMMAND_LINE, check_custom_text, check_loader_lines
from kadeploy_bootctl.render import boot_template, grub
from kadeploy_bootctl.render.site import Site, default_header, header, label_of


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
class ImageText:
    """The gaps of `image.tmpl`."""

    image: str


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
        InvalidBootEntry: a line would be longer than the kernel or the loader takes.
    """
    if isinstance(entry.target, CustomTarget):
        values = CustomText(header=header(entry), text=_custom(entry.node, entry.target, site))
        return boot_template.fill("custom.tmpl", values)
    return _loader_file(header(entry), _stanza(entry, site), site)


def render_default(site: Site) -> str:
    """Returns the text of the file for machines without an entry: they boot their disk, or a label of the settings.

    Raises:
        LabelNotFound: the settings do not know the label.
    """
    stanza = boot_template.fill("local_disk.tmpl", NoText())
    if site.unknown_machines:
        label = label_of(LabelTarget(label=site.unknown_machines), site)
        initrd = f"  INITRD {_path(site, label.initrd)}\n" if label.initrd else ""
        values = LinuxText(kernel=_path(site, label.kernel), initrd=initrd, arguments=label.arguments or "-")
        stanza = boot_template.fill("linux.tmpl", values)
    return _loader_file(default_header(site), stanza, site)


def _loader_file(first_line: str, stanza: str, site: Site) -> str:
    serial = f"SERIAL {site.serial}\n" if site.serial else ""
    return boot_template.fill("entry.tmpl", EntryText(header=first_line, serial=serial, stanza=stanza.rstrip("\n")))


def _stanza(entry: BootEntry, site: Site) -> str:  # noqa: PLR0911 - one for each target
    match entry.target:
        case LabelTarget() as target:
            label = label_of(target, site)
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
        case GrubDiskTarget() as target:
            return boot_template.fill("image.tmpl", ImageText(image=_path(site, grub.image_for(target).name)))
        case CustomTarget() as target:
            return _custom(entry.node, target, site)


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
    # lpxelinux takes whole URLs; what has none comes from where the loader itself came from.
    start = f"{site.http_url}/" if site.http_url else ""
    return f"{start}{site.files_path}/{name}"
