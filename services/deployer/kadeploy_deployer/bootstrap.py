"""Where real adapters are chosen and joined. The one module that knows all the others."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from kadeploy_deployer.adapters.boot_grpc import GrpcBoot
from kadeploy_deployer.adapters.console_commands import CommandConsole
from kadeploy_deployer.adapters.image_store import FileImageStore
from kadeploy_deployer.adapters.inventory_grpc import GrpcInventory
from kadeploy_deployer.adapters.power_commands import CommandPower
from kadeploy_deployer.adapters.remote_shell_ssh import SshRemoteShell
from kadeploy_deployer.adapters.retrying_boot import RetryingBoot
from kadeploy_deployer.broadcast.chain import ChainBroadcast
from kadeploy_deployer.broadcast.instructions import ChainSettings
from kadeploy_deployer.engine.runner import RunnerSettings
from kadeploy_deployer.nodes.reboot_window import RebootWindows
from kadeploy_deployer.ports.step_ports import StepPorts
from kadeploy_deployer.rpc.parts import Parts
from kadeploy_deployer.service import run_parts
from kadeploy_deployer.settings import HOUR, BroadcastSettings, Settings
from kadeploy_deployer.steps.plan import PLAN
from kadeploy_deployer.steps.recovery import leave_bootable
from kadeploy_deployer.store import schema
from kadeploy_deployer.store.database import Database
from kadeploy_deployer.store.database_clock import DatabaseClock
from kadeploy_rpckit.errors import Invalid


class UnusableKeyFile(Invalid):
    """A file of public keys is not there or holds none."""

    reason = "UNUSABLE_KEY_FILE"


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Yields the database; closes it at the end."""
    database = Database(settings.database.url, settings.database.channel)
    try:
        yield database
    finally:
        database.close()


def prepare_schema(database: Database) -> None:
    """Brings the schema of SQLite up to date; on a server that is the administrator's doing, so it is only checked."""
    if database.is_sqlite:
        schema.upgrade(database.engine)
    schema.check(database.engine)


@asynccontextmanager
async def open_parts(settings: Settings, database: Database) -> AsyncIterator[Parts]:
    """Yields the parts with the real adapters, the supervisor at work; ends them in order."""
    clock = DatabaseClock(database)
    await clock.synchronise()
    shell = SshRemoteShell(settings.ssh_private_key)
    # To the two others the deployer shows the certificate that it serves with.
    boot = GrpcBoot(settings.bootctl_address, tls=settings.tls, insecure=settings.insecure)
    inventory = GrpcInventory(settings.inventory_address, tls=settings.tls, insecure=settings.insecure)
    settings.cache_directory.mkdir(parents=True, exist_ok=True)
    ports = StepPorts(
        shell=shell,
        power=CommandPower(),
        boot=RetryingBoot(boot, clock),
        images=FileImageStore(settings.cache_directory, file_roots=settings.image_directories),
        broadcast=ChainBroadcast(shell, _chain_settings(settings.broadcast)),
        clock=clock,
    )
    runner_settings = RunnerSettings(
        plan=PLAN,
        ports=ports,
        windows=RebootWindows(clock),
        leave_bootable=leave_bootable,
        deployment_host_keys=read_keys(settings.deployment_host_keys),
        cluster_public_key=read_keys(settings.ssh_public_key)[0],
    )
    try:
        async with run_parts(
            database,
            runner_settings,
            inventory,
            console=CommandConsole(),
            lease_seconds=settings.lease_seconds,
            history_days=settings.history_days,
            longest_wait=settings.longest_wait_hours * HOUR,
        ) as parts:
            yield parts
    finally:
        await shell.close()
        await boot.close()
        await inventory.close()


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


def _chain_settings(settings: BroadcastSettings) -> ChainSettings:
    return ChainSettings(
        source_address=settings.address or "0.0.0.0",
        source_port=settings.port,
        node_port=settings.node_port,
    )
