"""The serial console of a node, both ways: one user at a time, for as long as the right lasts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from kadeploy_deployer.domain.control_errors import ConsoleInUse, ConsoleNotConfigured, InvalidControl, NodeNotFound
from kadeploy_deployer.engine.console_lease import in_one_piece
from kadeploy_deployer.engine.fence import pass_fence
from kadeploy_deployer.engine.racing import first_of
from kadeploy_deployer.ports import ConsoleError, ConsoleLine
from kadeploy_deployer.requests.deployment_request import Actor
from kadeploy_deployer.requests.expansion import expand_aside
from kadeploy_deployer.requests.node_access import ControlParts, allowed_nodes, make_guard

TO = "attach the console of"


async def attach_console(
    node: str,
    typed: AsyncIterator[bytes],
    *,
    actor: Actor,
    parts: ControlParts,
    show: Callable[[bytes], Awaitable[None]],
) -> None:
    """Joins a caller and a console until one of them ends it. Takes no node lock: a reboot can be watched.

    Args:
        node: its name.
        typed: what the caller types; that it ends ends nothing, so a console can be watched without typing.
        actor: who calls.
        parts: the world.
        show: shows what the console says; waits when the caller does not read.

    Raises:
        InvalidNodeSet, InvalidControl, NodeNotFound: not one node that is known.
        RightMissing: at the beginning, or when the right has ended.
        ConsoleNotConfigured: the site has no console for the node, or its command does not work.
        ConsoleInUse: somebody else has it.
    """
    if len(await expand_aside(node)) != 1:
        raise InvalidControl("node", "must be one node: a console has one terminal")
    allowed = await allowed_nodes(node, actor=actor, inventory=parts.inventory, to=TO)
    for name in allowed.unknown:
        raise NodeNotFound(name)
    (machine,) = allowed.nodes.values()
    if not machine.commands.console:
        text = f"{machine.name} has no console command"
        raise ConsoleNotConfigured(text, metadata={"node": machine.name})
    session = parts.consoles.begin(machine.name, actor.user)

    async def take_and_join() -> None:
        user = await in_one_piece(parts.consoles.store.take(session))
        if user:
            raise ConsoleInUse(machine.name, user)
        # What is recorded of a boot gives way: most consoles have one reader.
        await parts.ports.boot_watch.release_console(machine.name)
        try:
            line = await parts.console.attach(machine)
        except ConsoleError as error:
            raise ConsoleNotConfigured(str(error), metadata={"node": machine.name}) from error
        try:
            await first_of(
                _show_all(line, show),
                _type_all(line, typed),
                make_guard(parts, actor, to=TO).watch(machine.name),
            )
        finally:
            await line.close()

    await parts.consoles.keep(session, take_and_join())


async def _show_all(line: ConsoleLine, show: Callable[[bytes], Awaitable[None]]) -> None:
    while part := await line.read():
        await show(part)


async def _type_all(line: ConsoleLine, typed: AsyncIterator[bytes]) -> None:
    async for part in typed:
        await pass_fence()
        await line.write(part)
    await asyncio.Event().wait()
