"""Where real adapters are chosen and servicers are put on a server. The one module that knows all the others."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import grpc

from kadeploy.bootctl.v1 import bootctl_service_pb2, bootctl_service_pb2_grpc
from kadeploy_bootctl.app.boot_files import delete_unused_boot_files
from kadeploy_bootctl.app.collector import PAUSE_SECONDS, Collector
from kadeploy_bootctl.domain.boot_file import BootFile
from kadeploy_bootctl.logs.log_files import LogFiles
from kadeploy_bootctl.render import grub, pxelinux
from kadeploy_bootctl.render.site import Site
from kadeploy_bootctl.rpc.boot_file_servicer import BootFileServicer
from kadeploy_bootctl.rpc.boot_servicer import BootServicer
from kadeploy_bootctl.rpc.runtime import Runtime
from kadeploy_bootctl.rpc.tree_servicer import TreeServicer
from kadeploy_bootctl.settings import Settings
from kadeploy_bootctl.tree.entry_store import TftpEntryStore
from kadeploy_bootctl.tree.file_store import TftpFileStore
from kadeploy_bootctl.tree.grub_images import TftpGrubImages
from kadeploy_bootctl.tree.grub_mkimage import GrubMkimage
from kadeploy_bootctl.tree.health import check_writable
from kadeploy_bootctl.tree.layout import DEFAULT_NAME, GRUB_DEFAULT_NAME, Layout, repository
from kadeploy_bootctl.tree.loaders import Sources
from kadeploy_bootctl.tree.reconcile import TftpTreeInspector
from kadeploy_edge.dependencies import Dependency
from kadeploy_edge.metrics import ServiceMetrics, certificates_of
from kadeploy_edge.server import ServerSettings

SERVICE = "bootctl"
_SERVICES = ("BootService", "BootFileService", "TreeService")
SERVICE_NAMES = tuple(bootctl_service_pb2.DESCRIPTOR.services_by_name[name].full_name for name in _SERVICES)


def layout_of(settings: Settings) -> Layout:
    """Returns the tree's places."""
    files = settings.tftp_relative_path
    return Layout(
        root=settings.tftp_root,
        repositories=(
            repository(settings.tftp_repository, configuration=settings.pxe_rep, files=files, loader="pxelinux.0"),
            repository(
                settings.tftp_repository_intel, configuration=settings.pxe_rep_intel, files=files, loader="linux.0"
            ),
        ),
    )


def site_of(settings: Settings) -> Site:
    """Returns what the renderers need to know."""
    serial = f"{settings.serial.port} {settings.serial.speed}" if settings.serial else ""
    return Site(
        files_path=settings.tftp_relative_path.strip("/"),
        labels=settings.labels,
        serial=serial,
        http_url=http_url_of(settings),
        unknown_machines=settings.unknown_machines,
    )


def http_url_of(settings: Settings) -> str:
    """Returns where machines find the first repository by HTTP; empty without HTTP."""
    return f"{settings.http_url}/{settings.tftp_repository.strip('/')}" if settings.http_url else ""


def sources_of(settings: Settings) -> Sources:
    """Returns where the loaders are installed."""
    return Sources(
        pxelinux=settings.pxelinux_directory,
        syslinux=settings.syslinux_directory,
        grub=settings.grub_directory,
        http=bool(settings.http_url),
        uefi=settings.uefi,
    )


def default_files(settings: Settings) -> dict[str, str]:
    """Returns the texts of the files for machines without an entry, by name."""
    site = site_of(settings)
    return {DEFAULT_NAME: pxelinux.render_default(site), GRUB_DEFAULT_NAME: grub.render_default(site)}


def network_grub(settings: Settings) -> Callable[[str], bytes]:
    """Returns what makes the loader of machines with UEFI for a directory of nodes' files."""
    tool = GrubMkimage(directory=settings.grub_directory)
    return lambda configuration: tool.uefi_image(grub.embedded_configuration(configuration))


def open_runtime(settings: Settings) -> Runtime:
    """Takes the tree for this process and returns what the servicers run with.

    Raises:
        TreeInUse, TreeDamaged: as TftpEntryStore.open.
    """
    layout = layout_of(settings)
    entries = TftpEntryStore(layout)
    entries.open()
    files = TftpFileStore(layout, reserved_bytes=settings.reserved_bytes)
    inspector = TftpTreeInspector(
        layout,
        entries=entries,
        files=files,
        labels=settings.labels,
        sources=sources_of(settings),
        reserved_bytes=settings.reserved_bytes,
    )
    return Runtime(
        entries=entries,
        files=files,
        images=TftpGrubImages(
            layout, grub=GrubMkimage(directory=settings.grub_directory), reserved_bytes=settings.reserved_bytes
        ),
        inspector=inspector,
        logs=LogFiles(settings.boot_logs, clock=lambda: datetime.now(UTC)),
        site=site_of(settings),
        clock=lambda: datetime.now(UTC),
        maximum_file_bytes=settings.maximum_file_bytes,
        is_administrator=lambda caller: caller.user in settings.administrators,
    )


def collector(runtime: Runtime, *, pause: float = PAUSE_SECONDS) -> Collector:
    """Returns what collects unused boot files while the service runs."""

    def collect() -> list[BootFile]:
        return delete_unused_boot_files(
            validate_only=False,
            files=runtime.files,
            images=runtime.images,
            entries=runtime.entries,
            clock=runtime.clock,
        )

    return Collector(collect, pause=pause)


def dependencies(settings: Settings) -> Sequence[Dependency]:
    """Returns what the health of the service depends on: the tree."""
    layout = layout_of(settings)
    return [Dependency(name="tree", check=lambda: check_writable(layout))]


def registration(runtime: Runtime) -> Callable[[grpc.aio.Server], None]:
    """Returns what adds every servicer to a server, whose edge asks first who may call."""

    def register(server: grpc.aio.Server) -> None:
        stubs = bootctl_service_pb2_grpc
        stubs.add_BootServiceServicer_to_server(BootServicer(runtime), server)
        stubs.add_BootFileServiceServicer_to_server(BootFileServicer(runtime), server)
        stubs.add_TreeServiceServicer_to_server(TreeServicer(runtime), server)

    return register


def make_metrics(settings: Settings) -> ServiceMetrics | None:
    """Returns what measures the service; None where the settings want no metrics."""
    if not settings.metrics_address:
        return None
    return ServiceMetrics(SERVICE, certificates=certificates_of(settings.tls))


def server_settings(settings: Settings) -> ServerSettings:
    """Returns how the service is served."""
    return ServerSettings(
        service=SERVICE,
        address=settings.address,
        service_names=SERVICE_NAMES,
        administrators=settings.administrators,
        maximum_workers=settings.maximum_workers,
        limits=settings.limits,
        tls=settings.tls,
        insecure=settings.insecure,
        audit_log=settings.audit_log,
        metrics_address=settings.metrics_address,
        tracing_endpoint=settings.tracing_endpoint,
    )
