"""GRUB configurations: for machines with UEFI, and inside the images that boot BIOS machines from their disk."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

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
from kadeploy_bootctl.domain.grub_image import GrubImage
from kadeploy_bootctl.domain.texts import LONGEST_COMMAND_LINE, check_custom_text
from kadeploy_bootctl.render import boot_template
from kadeploy_bootctl.render.site import Site, default_header, header, label_of

# Set by the image that DHCP names: the repository that it was fetched from.
REPOSITORY = "${kadeploy_repository}"
# The place that every UEFI firmware tries on a disk by itself.
FALLBACK_LOADER = "/EFI/BOOT/BOOTX64.EFI"
_PLAIN = re.compile(r"[A-Za-z0-9_./:,=+@%-]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryText:
    """The gaps of `grub_entry.tmpl`."""

    header: str
    commands: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BootText:
    """The gaps of `grub_boot.tmpl`."""

    commands: str


def render(entry: BootEntry, site: Site) -> str:
    """Returns the text of the file of a node with UEFI.

    Raises:
        LabelNotFound: the settings do not know the label.
        InvalidBootEntry: GRUB would not hand the arguments over as they are.
    """
    return _file(header(entry), _commands(entry, site))


def render_default(site: Site) -> str:
    """Returns the text of the file for machines without an entry: the firmware goes on to the disk, or a label boots.

    Raises:
        LabelNotFound: the settings do not know the label.
        InvalidBootEntry: GRUB would not hand its arguments over as they are.
    """
    if not site.unknown_machines:
        return _file(default_header(site), "exit")
    label = label_of(LabelTarget(label=site.unknown_machines), site)
    initrd = _path(site, label.initrd) if label.initrd else ""
    kernel, *more = _kernel("labels", _path(site, label.kernel), initrd, label.arguments)
    # GRUB knows the card that it came by, as the nodes' own files do.
    return _file(default_header(site), _boot([f"{kernel} BOOTIF=01-$net_default_mac", *more]))


def image_for(target: GrubDiskTarget) -> GrubImage:
    """Returns the image that boots a BIOS machine from its disk. Raises InvalidBootEntry as `render`."""
    return GrubImage(configuration=_boot(_disk_commands(target)) + "\n")


def embedded_configuration(configuration_directory: str) -> str:
    """Returns what stands inside the network image: with it GRUB looks there for grub.cfg-01-MAC and the others.

    Args:
        configuration_directory: the directory of the nodes' files, relative to the repository.
    """
    return (
        # Empty at first: GRUB takes the directory that it was fetched from.
        "set kadeploy_repository=$prefix\n"
        "export kadeploy_repository\n"
        f"set prefix=$prefix/{configuration_directory}\n"
        "export prefix\n"
    )


def _file(first_line: str, commands: str) -> str:
    return boot_template.fill("grub_entry.tmpl", EntryText(header=first_line, commands=commands))


def _boot(commands: list[str]) -> str:
    return boot_template.fill("grub_boot.tmpl", BootText(commands="\n".join(commands))).rstrip("\n")


def _commands(entry: BootEntry, site: Site) -> str:  # noqa: PLR0911 - one for each target
    match entry.target:
        case LabelTarget() as target:
            label = label_of(target, site)
            words = " ".join(filter(None, (label.arguments, target.arguments)))
            return _boot(_linux(entry.node, "target.label.arguments", site, (label.kernel, label.initrd), words))
        case NetworkTarget() as target:
            names = (digest.file_name(target.kernel_digest), digest.file_name(target.initrd_digest))
            return _boot(_linux(entry.node, "target.network.arguments", site, names, target.arguments))
        case GrubDiskTarget() as target:
            return _boot(_disk_commands(target))
        case ChainloadTarget() as target:
            return _boot(_chainload(target))
        case MultibootTarget() as target:
            return _boot(_multiboot(target, site))
        case LocalDiskTarget():
            return "exit"
        case CustomTarget() as target:
            return _custom(entry.node, target, site)


def _linux(node: BootNode, field: str, site: Site, names: tuple[str, str], arguments: str) -> list[str]:
    kernel, initrd = names
    words = f"{arguments} BOOTIF={hardware_name(node)}".strip()
    return _kernel(field, _path(site, kernel), _path(site, initrd) if initrd else "", words)


def _disk_commands(target: GrubDiskTarget) -> list[str]:
    place = f"(hd{target.disk},{target.partition})"
    initrd = f"{place}{target.initrd_path}" if target.initrd_path else ""
    return _kernel("target.grub_disk.arguments", f"{place}{target.kernel_path}", initrd, target.arguments)


def _kernel(field: str, kernel: str, initrd: str, arguments: str) -> list[str]:
    words = _words(field, arguments)
    length = len(f"BOOT_IMAGE={kernel} {' '.join(words)}")
    if length > LONGEST_COMMAND_LINE:
        raise InvalidBootEntry(
            field, f"makes a kernel command line of {length} characters; a kernel takes {LONGEST_COMMAND_LINE}"
        )
    commands = [" ".join(["linux", kernel, *map(_quoted, words)])]
    return [*commands, f"initrd {initrd}"] if initrd else commands


def _multiboot(target: MultibootTarget, site: Site) -> list[str]:
    parts = [("multiboot2", target.hypervisor_digest, target.hypervisor_arguments)]
    parts += [("module2", module.digest, module.arguments) for module in target.modules]
    return [
        " ".join([command, _path(site, digest.file_name(name)), *map(_quoted, _words("target.multiboot", arguments))])
        for command, name, arguments in parts
    ]


def _chainload(target: ChainloadTarget) -> list[str]:
    if target.partition:
        return [f"set root=hd{target.disk},{target.partition}", f"chainloader {FALLBACK_LOADER}"]
    return [
        f"search --no-floppy --set=root --hint=hd{target.disk} --file {FALLBACK_LOADER}",
        f"chainloader {FALLBACK_LOADER}",
    ]


def _custom(node: BootNode, target: CustomTarget, site: Site) -> str:
    prefix = f"{REPOSITORY}/{site.files_path}"
    text = target.text.replace("NODE_SINGULARITY", address_name(node)).replace("FILES_PREFIX", prefix)
    check_custom_text("target.custom.text", text)
    return text.rstrip("\n")


def _path(site: Site, name: str) -> str:
    if site.http_url:
        url = urlsplit(site.http_url)
        return f"(http,{url.netloc}){url.path}/{site.files_path}/{name}"
    return f"{REPOSITORY}/{site.files_path}/{name}"


def _words(field: str, arguments: str) -> list[str]:
    """Splits a command line as the kernel does: at blanks outside of double quotes, which go.

    GRUB puts quotes of its own around a word with a blank, and a backslash before what it takes for special.
    """
    if "\\" in arguments or "'" in arguments:
        raise InvalidBootEntry(field, "must not hold a backslash or a single quote, which GRUB would change")
    words, inside, begun, current = [], False, False, ""
    for letter in arguments:
        if letter == '"':
            inside, begun = not inside, True
        elif letter == " " and not inside:
            if begun:
                words.append(current)
            begun, current = False, ""
        else:
            begun, current = True, current + letter
    if inside:
        raise InvalidBootEntry(field, "has a double quote without its end")
    return [*words, current] if begun else words


def _quoted(word: str) -> str:
    # No word holds a single quote, and GRUB looks at nothing between two of them.
    return word if _PLAIN.match(word) else f"'{word}'"
