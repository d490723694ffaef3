"""Where real adapters are chosen and joined. The one module that knows all the others."""

import logging
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from kadeploy_database.database_commands import mark_files, prepare_files
from kadeploy_database.database_health import DatabaseProbe, check_tables
from kadeploy_database.statement_times import time_statements
from kadeploy_deployer.adapters.activity_metrics import ActivityMetrics
from kadeploy_deployer.adapters.boot_grpc import GrpcBoot
from kadeploy_deployer.adapters.console_commands import CommandConsole
from kadeploy_deployer.adapters.host_check import check_host
from kadeploy_deployer.adapters.image_directories import ImageDirectories
from kadeploy_deployer.adapters.image_download import DownloadLimits, ImageDownloads
from kadeploy_deployer.adapters.image_hosts import ImageHosts
from kadeploy_deployer.adapters.image_store import FileImageStore
from kadeploy_deployer.adapters.inventory_grpc import GrpcInventory
from kadeploy_deployer.adapters.power_commands import CommandPower
from kadeploy_deployer.adapters.power_drivers import DrivenPower
from kadeploy_deployer.adapters.power_ipmi import IpmiController
from kadeploy_deployer.adapters.power_redfish import RedfishController
from kadeploy_deployer.adapters.remote_shell_ssh import SshRemoteShell
from kadeploy_deployer.adapters.retrying_boot import RetryingBoot
from kadeploy_deployer.adapters.site_boot_watch import SiteBootWatch
from kadeploy_deployer.adapters.upload_store import UploadStore
from kadeploy_deployer.broadcast.chain import ChainBroadcast
from kadeploy_deployer.broadcast.instructions import ChainSettings
from kadeploy_deployer.database_commands import NAME, PROGRAM
from kadeploy_deployer.domain.vocabulary import PowerDriverKind
from kadeploy_deployer.engine.shared_context import RunnerSettings
from kadeploy_deployer.image_settings import DEFAULT_DIRECTORY, GIBIBYTE, MEGABYTE
from kadeploy_deployer.nodes.reboot_window import RebootWindows
from kadeploy_deployer.ports import RemoteShell
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.rpc.parts import Parts
from kadeploy_deployer.service import run_parts
from kadeploy_deployer.settings import HOUR, BroadcastSettings, Settings
from kadeploy_deployer.steps.plan import PLAN
from kadeploy_deployer.steps.recovery import leave_bootable
from kadeploy_deployer.store import schema
from kadeploy_deployer.store.database import Database, make_engine
from kadeploy_deployer.store.database_clock import DatabaseClock
from kadeploy_deployer.store.tables import metadata
from kadeploy_edge.dependencies import Dependency
from kadeploy_edge.errors import Invalid
from kadeploy_edge.metrics import ServiceMetrics, certificates_of
from kadeploy_edge.remote_health import RemoteHealth

logger = logging.getLogger(__name__)

CACHE_MODE = 0o750


class UnusableKeyFile(Invalid):
    """A file of public keys is not there or holds none."""

    reason = "UNUSABLE_KEY_FILE"


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Yields the database; closes it at the end. An SQLite file is made at a first start, and looked at otherwise."""
    prepare_files({NAME: settings.database}, program=PROGRAM)
    database = Database(settings.database.url, settings.database.channel)
    try:
        yield database
    finally:
        database.close()


def prepare_schema(settings: Settings, database: Database) -> None:
    """Brings the schema of SQLite up to date; on a server that is the administrator's doing, so it is only checked."""
    if database.is_sqlite:
        schema.upgrade(database.engine)
    schema.check(database.engine)
    check_tables(database.engine, NAME, metadata, wanted=schema.newest())
    mark_files({NAME: settings.database})
    database.reserve_space()


@asynccontextmanager
async def open_dependencies(settings: Settings) -> AsyncIterator[Sequence[Dependency]]:
    """Yields what the health of the service depends on, each by its name: its database, and the other services.

    Deployments that run go on for a while without the others, and can be watched: those are not vital.
    """
    probe = DatabaseProbe(NAME, settings.database, make_engine, metadata, wanted=schema.newest)
    addresses = {"inventory": settings.inventory_address, "bootctl": settings.bootctl_address}
    others = {
        name: RemoteHealth(name, address, caller="deployer", tls=settings.tls, insecure=settings.insecure)
        for name, address in addresses.items()
    }
    try:
        yield [
            Dependency(name=NAME, check=probe.check),
            *(Dependency(name=name, check=each.check, is_vital=False) for name, each in others.items()),
        ]
    finally:
        probe.close()
        for each in others.values():
            await each.close()


@asynccontextmanager
async def open_parts(
    settings: Settings, database: Database, metrics: ActivityMetrics | None = None
) -> AsyncIterator[Parts]:
    """Yields the parts with the real adapters, the supervisor at work; ends them in order."""
    clock = DatabaseClock(database)
    await clock.synchronise()
    shell = SshRemoteShell(settings.ssh_private_key)
    # To the two others the deployer shows the certificate that it serves with.
    boot = GrpcBoot(
        settings.bootctl_address, tls=settings.tls, insecure=settings.insecure, http_proxy=settings.http_proxy
    )
    inventory = GrpcInventory(
        settings.inventory_address, tls=settings.tls, insecure=settings.insecure, http_proxy=settings.http_proxy
    )
    _close_cache(settings.cache_directory)
    uploads = upload_store(settings)
    power, console = node_power(), CommandConsole()
    ports = StepPorts(
        shell=shell,
        power=power,
        boot=RetryingBoot(boot, clock),
        images=image_store(settings, uploads),
        broadcast=_broadcast(shell, settings.broadcast, metrics),
        clock=clock,
        boot_watch=SiteBootWatch(
            console=console,
            power=power,
            read_servers=boot.server_log,
            clock=clock,
            most_consoles=settings.recorded_consoles,
        ),
    )
    runner_settings = RunnerSettings(
        plan=PLAN,
        ports=ports,
        windows=RebootWindows(clock),
        leave_bootable=leave_bootable,
        deployment_host_keys=read_keys(settings.deployment_host_keys),
        cluster_public_key=read_keys(settings.ssh_public_key)[0],
    )
    make_image_directory(settings)
    try:
        async with run_parts(
            database,
            runner_settings,
            inventory,
            console=console,
            lease_seconds=settings.lease_seconds,
            history_days=settings.history_days,
            longest_wait=settings.longest_wait_hours * HOUR,
            uploads=uploads,
            keep_upload_hours=settings.uploads.keep_hours,
            check_host=lambda: check_host(settings, database_time=clock.now()),
            observers=[] if metrics is None else [metrics],
        ) as parts:
            yield parts
    finally:
        await shell.close()
        await boot.close()
        await inventory.close()


def node_power() -> DrivenPower:
    """Returns what reaches nodes from outside: command templates and power drivers."""
    commands = CommandPower()
    controllers = {
        PowerDriverKind.IPMI: IpmiController(commands),
        PowerDriverKind.REDFISH: RedfishController(),
    }
    return DrivenPower(commands, controllers)


def _close_cache(directory: Path) -> None:
    """Makes the cache's directory, or takes from others what they may do with it: images are not everybody's."""
    directory.mkdir(parents=True, exist_ok=True, mode=CACHE_MODE)
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & ~CACHE_MODE:
        directory.chmod(mode & CACHE_MODE)
        logger.warning("path=%s was open to others (%04o) and is %04o now", directory, mode, mode & CACHE_MODE)


def upload_store(settings: Settings) -> UploadStore | None:
    """Returns where uploads are kept, None where the site takes none. Raises OSError."""
    wanted = settings.uploads
    largest, quota = int(wanted.max_gib * GIBIBYTE), int(wanted.quota_gib * GIBIBYTE)
    if not largest or not quota:
        return None
    store = UploadStore(wanted.directory or settings.cache_directory / "uploads", largest=largest, quota=quota)
    store.prepare()
    return store


def image_store(settings: Settings, uploads: UploadStore | None = None) -> FileImageStore:
    """Returns the store of images as the site wants it. `uploads`: where users' own are."""
    images = settings.images
    hosts = ImageHosts(images.servers, networks=images.networks, proxy=images.proxy)
    limits = DownloadLimits(
        largest=int(images.download_max_gib * GIBIBYTE), rate=images.download_min_mb_per_second * MEGABYTE
    )
    return FileImageStore(
        settings.cache_directory,
        directories=ImageDirectories(images.directories, groups=images.groups),
        downloads=ImageDownloads(hosts, limits),
        uploads=uploads,
    )


def make_image_directory(settings: Settings) -> None:
    """Makes the directory of images that a site has which names none; where that cannot be done it is only said."""
    if settings.images.directories != (DEFAULT_DIRECTORY,):
        return
    try:
        DEFAULT_DIRECTORY.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        logger.warning("the directory of images %s cannot be made: %s", DEFAULT_DIRECTORY, error.strerror)


def read_keys(path: Path) -> tuple[str, ...]:
    """Returns the public keys of a file, or raises UnusableKeyFile."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UnusableKeyFile(f"{path} cannot be read: {cause}", metadata={"path": str(path)}) from error
    keys = tuple(line for line in lines if line and not line.startswith("#"))
    if not keys:
        raise UnusableKeyFile(f"{path} holds no public key", metadata={"path": str(path)})
    return keys


def make_metrics(settings: Settings, database: Database) -> ServiceMetrics | None:
    """Returns what measures the service; None where the settings want no metrics."""
    if not settings.metrics_address:
        return None
    metrics = ServiceMetrics("deployer", certificates=certificates_of(settings.tls))
    time_statements(database.engine, metrics.statement_observer(NAME))
    return metrics


def _broadcast(shell: RemoteShell, settings: BroadcastSettings, metrics: ActivityMetrics | None) -> ChainBroadcast:
    chain = _chain_settings(settings)
    return (
        ChainBroadcast(shell, chain)
        if metrics is None
        else ChainBroadcast(shell, chain, on_end=metrics.broadcast_ended)
    )


def _chain_settings(settings: BroadcastSettings) -> ChainSettings:
    return ChainSettings(
        source_address=settings.address or "0.0.0.0",
        source_port=settings.port,
        node_port=settings.node_port,
        method=settings.method,
        chains=settings.chains,
        gather_bound=settings.gather_seconds,
        memory_share=settings.memory_percent / 100,
    )
