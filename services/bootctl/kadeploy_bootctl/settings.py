"""The settings of bootctl: one TOML file, read strictly. The keys of the tree keep their classic names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kadeploy_bootctl.domain.errors import InvalidBootEntry
from kadeploy_bootctl.domain.label import KernelLabel
from kadeploy_bootctl.domain.texts import check_arguments, check_label
from kadeploy_edge.limits import DEFAULTS, Limits, read_limits
from kadeploy_edge.metrics_settings import read_metrics_address
from kadeploy_edge.settings_file import Table, load
from kadeploy_edge.tls import TlsFiles
from kadeploy_edge.tls_settings import read_tls
from kadeploy_edge.usual_settings import (
    read_address,
    read_administrators,
    read_audit_log,
    read_log_format,
    read_tracing_endpoint,
    read_workers,
)

TITLE = "Settings of bootctl: kadeploy-bootctl serve --config THIS-FILE"
DEFAULT_ADDRESS = "127.0.0.1:7403"
DEFAULT_METRICS_ADDRESS = "127.0.0.1:7413"
GIBIBYTE = 1 << 30
MEBIBYTE = 1 << 20
MOST_BYTES = 1 << 50
SERIAL_SPEEDS = (9600, 19200, 38400, 57600, 115200)
LARGEST_SERIAL_PORT = 3

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,199}\Z")
_PATH = re.compile(r"/?[A-Za-z0-9][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9][A-Za-z0-9_.+-]*)*/?\Z")
# Boot loaders resolve no names reliably, so the host is an address.
_HTTP_URL = re.compile(r"http://[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::[0-9]{1,5})?(?:/[A-Za-z0-9][A-Za-z0-9_.+-]*)*/?\Z")
_REPOSITORY = (
    "One of the two places, below tftp_root, where network cards look for their loader; the other one is "
    "tftp_repository_intel. DHCP names PXEClient/pxelinux.0 or X86PC/linux/linux.0. Every entry and every boot file "
    "stands in both."
)
_PXE_REP = (
    "The directory of the nodes' files below tftp_repository. "
    "pxelinux looks in pxelinux.cfg unless DHCP says otherwise."
)
_HTTP = (
    "Where an HTTP server of this host serves tftp_root: an address, for boot loaders resolve no names. Kernels and "
    "initrds then come by HTTP; loaders and the nodes' files stay on TFTP. Default: all comes by TFTP."
)
_UNKNOWN = (
    "The label that machines without an entry boot, so that `ka node discover` finds them. Default: they boot "
    "their disk. `kadeploy-bootctl init` writes it into the tree."
)
_LABELS = (
    "Deployment kernels: file names in images_grub, put there by `kadeploy-bootctl label install NAME`. Without any "
    "such table there is one label: deploy, with the files deploy-vmlinuz and deploy-initrd and no arguments."
)
_RESERVED_NAMES = ("sha256-", "grub-", "memdisk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Serial:
    """The loader's serial console."""

    port: int
    speed: int


_DEPLOY = KernelLabel(name="deploy", kernel="deploy-vmlinuz", initrd="deploy-initrd", arguments="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What bootctl is told by its site.

    Attributes:
        tftp_root: the directory that the TFTP server serves.
        tftp_repository: where most network cards look, below the root.
        tftp_repository_intel: where the others look.
        pxe_rep: the directory of the nodes' files in the first.
        pxe_rep_intel: the same in the second.
        tftp_relative_path: the directory of kernels and initrds in both.
        address: where to listen.
        administrators: users who may do everything.
        maximum_workers: how many calls are answered at once.
        maximum_file_bytes: the largest boot file.
        reserved_bytes: what uploads leave free.
        serial: the loader's serial console, None for none.
        labels: the deployment kernels; a lone "deploy" when the file names none.
        pxelinux_directory: where the package pxelinux is installed.
        syslinux_directory: where the package syslinux-common is installed.
        grub_directory: where the packages grub-pc-bin and grub-efi-amd64-bin are installed.
        uefi: whether the site has machines with UEFI, so that their loader must be there.
        unknown_machines: the label that machines without an entry boot; empty: their disk.
        http_url: where an HTTP server serves tftp_root, without a slash at its end; empty: all comes by TFTP.
        boot_logs: logs of the DHCP, TFTP and HTTP servers of this host, to say where a boot broke.
        limits: what callers can take at once.
        tls: certificates; TCP needs them.
        audit_log: the file of audit records; None for the log.
        log_format: "text" or "json".
        metrics_address: where metrics are answered; empty: nowhere.
        tracing_endpoint: where spans are sent; empty: nowhere.
        insecure: plain text on loopback; the command line says it, never the file.
    """

    tftp_root: Path
    tftp_repository: str = "PXEClient/"
    tftp_repository_intel: str = "X86PC/linux/"
    pxe_rep: str = "pxelinux.cfg/"
    pxe_rep_intel: str = "pxelinux.cfg/"
    tftp_relative_path: str = "images_grub"
    address: str = DEFAULT_ADDRESS
    administrators: frozenset[str] = frozenset({"root"})
    maximum_workers: int = 16
    maximum_file_bytes: int = GIBIBYTE
    reserved_bytes: int = 64 * MEBIBYTE
    serial: Serial | None = None
    labels: Mapping[str, KernelLabel] = field(default_factory=lambda: MappingProxyType({"deploy": _DEPLOY}))
    pxelinux_directory: Path = Path("/usr/lib/PXELINUX")
    syslinux_directory: Path = Path("/usr/lib/syslinux")
    grub_directory: Path = Path("/usr/lib/grub")
    uefi: bool = True
    http_url: str = ""
    unknown_machines: str = ""
    boot_logs: tuple[Path, ...] = ()
    limits: Limits = DEFAULTS
    tls: TlsFiles | None = None
    audit_log: Path | None = None
    log_format: str = "text"
    metrics_address: str = ""
    tracing_endpoint: str = ""
    insecure: bool = False

    @classmethod
    def load(cls, path: Path) -> "Settings":
        """Reads a file, or raises BadSettings with one sentence."""
        return load(path, read_settings)


def read_settings(table: Table) -> Settings:
    """Returns what the file says."""
    settings = Settings(
        tftp_root=_root(table),
        tftp_repository=_relative(table, "tftp_repository", "PXEClient/", doc=_REPOSITORY),
        tftp_repository_intel=_relative(table, "tftp_repository_intel", "X86PC/linux/", doc="The other of the two."),
        pxe_rep=_relative(table, "pxe_rep", "pxelinux.cfg/", doc=_PXE_REP),
        pxe_rep_intel=_relative(table, "pxe_rep_intel", "pxelinux.cfg/", doc="The same below tftp_repository_intel."),
        tftp_relative_path=_relative(
            table, "tftp_relative_path", "images_grub", doc="The directory of kernels and initrds in both."
        ),
        http_url=_http_url(table),
        unknown_machines=table.text("unknown_machines", "", doc=_UNKNOWN, example="deploy"),
        address=read_address(table, DEFAULT_ADDRESS),
        administrators=read_administrators(table, who="they may do everything, custom boot files among it"),
        log_format=read_log_format(table),
        metrics_address=read_metrics_address(table, DEFAULT_METRICS_ADDRESS),
        tracing_endpoint=read_tracing_endpoint(table),
        audit_log=read_audit_log(table, service="bootctl"),
        maximum_workers=read_workers(table),
        maximum_file_bytes=table.whole(
            "maximum_file_bytes",
            GIBIBYTE,
            least=1,
            most=MOST_BYTES,
            unit="bytes",
            doc="The largest kernel, initrd or module that may be uploaded.",
        ),
        reserved_bytes=table.whole(
            "reserved_bytes",
            64 * MEBIBYTE,
            least=0,
            most=MOST_BYTES,
            unit="bytes",
            doc="What uploads leave free on the file system.",
        ),
        limits=read_limits(table.table("limits")),
        serial=_serial(table.table("serial")),
        labels=_labels(table.table("labels")),
        boot_logs=table.paths(
            "boot_logs",
            doc="Logs of the DHCP, TFTP and HTTP servers of this host, to say where a boot broke; this service must "
            "be able to read them (docs/troubleshooting.md).",
        ),
        **_loaders(table.table("loaders")),
        tls=read_tls(table.table("tls"), service="bootctl"),
    )
    _check_places(table, settings)
    if settings.unknown_machines and settings.unknown_machines not in settings.labels:
        known = ", ".join(sorted(settings.labels))
        raise table.refusal("unknown_machines", f"a label of these settings ({known})", settings.unknown_machines)
    return settings


def _loaders(table: Table) -> dict[str, Any]:
    """Returns the settings that say where loaders are installed."""
    table.describe("Where the packages with boot loaders are installed on this host.")
    return {
        "pxelinux_directory": table.path("pxelinux_directory", Path("/usr/lib/PXELINUX"), doc="The package pxelinux."),
        "syslinux_directory": table.path(
            "syslinux_directory", Path("/usr/lib/syslinux"), doc="The package syslinux-common."
        ),
        "grub_directory": table.path(
            "grub_directory",
            Path("/usr/lib/grub"),
            doc="The packages grub-pc-bin and grub-efi-amd64-bin; grub-mkimage of grub-common is called.",
        ),
        "uefi": table.flag(
            "uefi", True, doc="Whether there are machines with UEFI: then their loader has to be in the tree."
        ),
    }


def _check_places(table: Table, settings: Settings) -> None:
    if settings.tftp_repository.strip("/") == settings.tftp_repository_intel.strip("/"):
        raise table.complaint("tftp_repository_intel", "tftp_repository and tftp_repository_intel must be two places")
    for key in ("pxe_rep", "pxe_rep_intel"):
        if getattr(settings, key).strip("/") == settings.tftp_relative_path.strip("/"):
            raise table.complaint(key, f"{key} and tftp_relative_path must be two places")


def _root(table: Table) -> Path:
    root = table.text(
        "tftp_root", doc="The directory that the TFTP server serves (in.tftpd --secure DIRECTORY).", example="/srv/tftp"
    )
    if not Path(root).is_absolute():
        raise table.refusal("tftp_root", "an absolute path", root)
    return Path(root)


def _relative(table: Table, key: str, default: str, *, doc: str) -> str:
    value = table.text(key, default, doc=doc)
    if not _PATH.match(value) or value.startswith("/"):
        raise table.refusal(key, "a path below tftp_root, without .. and blanks", value, default=default)
    return value


def _http_url(table: Table) -> str:
    value = table.text("http_url", "", doc=_HTTP, example="http://192.0.2.2/tftp")
    if value and not _HTTP_URL.match(value):
        raise table.refusal("http_url", "such as http://192.168.0.1/tftp: boot loaders know no https", value)
    return value.rstrip("/")


def _serial(table: Table) -> Serial | None:
    if not table.is_there:
        return None
    table.describe(
        "The loader's own serial console; without this table it shows itself on the screen alone.", optional=True
    )
    port = table.whole("port", 0, least=0, most=LARGEST_SERIAL_PORT, doc="0 is ttyS0.")
    speed = table.whole(
        "speed",
        115200,
        least=min(SERIAL_SPEEDS),
        most=max(SERIAL_SPEEDS),
        unit="bits per second",
        doc="Its speed, as the kernels' arguments say it, too.",
    )
    if speed not in SERIAL_SPEEDS:
        raise table.refusal("speed", f"one of {', '.join(map(str, SERIAL_SPEEDS))}", speed, default=115200)
    return Serial(port=port, speed=speed)


def _labels(table: Table) -> Mapping[str, KernelLabel]:
    if not table.is_there:
        return MappingProxyType({_DEPLOY.name: _DEPLOY})
    labels: dict[str, KernelLabel] = {}
    for name, fields in table.tables(example="deploy").items():
        fields.describe(_LABELS, optional=True)
        kernel = _file(fields, "kernel", doc="The kernel.", example="deploy-vmlinuz")
        initrd = _file(fields, "initrd", "", doc="The initrd. Default: none.", example="deploy-initrd")
        arguments = fields.text(
            "arguments", "", doc="The kernel's arguments. Default: none.", example="console=tty0 console=ttyS0,115200"
        )
        try:
            check_label(table.name(name), name)
            check_arguments(fields.name("arguments"), arguments)
        except InvalidBootEntry as error:
            sentence = f"{error.metadata['field']} {error.metadata['description']}"
            raise table.complaint(name, sentence) from error
        labels[name] = KernelLabel(name=name, kernel=kernel, initrd=initrd, arguments=arguments)
    return MappingProxyType(labels)


def _file(table: Table, key: str, default: str | None = None, *, doc: str, example: str) -> str:
    value = table.text(key, default, doc=doc, example=example)
    if value and (not _FILE_NAME.match(value) or value.startswith(_RESERVED_NAMES)):
        raise table.refusal(key, "a bare file name of images_grub", value)
    return value
