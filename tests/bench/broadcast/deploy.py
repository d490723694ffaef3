"""The deployer's side of a measurement, run on host 0: our own code over a real sshd per node.

Standard input: one JSON object, the plan. Standard output: a JSON object per line: `begun` (when the first nodes were
given their part), `begun` and `received` of each node, `failed`, each with a time of the monotonic clock.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kadeploy_deployer.adapters.remote_shell_ssh import SshRemoteShell
from kadeploy_deployer.broadcast.chain import ChainBroadcast
from kadeploy_deployer.broadcast.instructions import ChainSettings
from kadeploy_deployer.ports import BroadcastSink, BroadcastTarget, CommandResult, OpenedFile, ReceiveFailed, ShellHost


def say(event: str, node: str, **more: object) -> None:
    """Prints one line."""
    sys.stdout.write(json.dumps({"event": event, "node": node, "time": time.monotonic(), **more}) + "\n")
    sys.stdout.flush()


class ListeningShell(SshRemoteShell):
    """Notes when a node is given its part, and when it has everything. `begun`: the first was given its part."""

    begun: asyncio.Event

    async def run(
        self,
        host: ShellHost,
        arguments: Sequence[str],
        *,
        stdin: bytes | AsyncIterator[bytes] = b"",
        on_line: Callable[[str], None] | None = None,
        **more: Any,
    ) -> CommandResult:
        """As in the port."""

        def listen(line: str) -> None:
            message = json.loads(line)
            if message["event"] == "received":
                say("received", host.name)
            elif message["event"] in {"left", "result"}:
                say("note", host.name, line=message)
            if on_line is not None:
                on_line(line)

        async def lines(given: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
            number = 0
            async for line in given:
                number += 1
                if number > 1:
                    say("begun", host.name)
                    self.begun.set()
                yield line

        given = stdin if isinstance(stdin, bytes) else lines(stdin)
        return await super().run(host, arguments, stdin=given, on_line=listen, **more)


async def deploy(plan: Mapping[str, Any]) -> None:
    """Sends the file to every node."""
    shell = ListeningShell(Path(plan["key"]), handshakes_at_once=8)
    settings = ChainSettings(
        program=tuple(plan["program"]),
        node_port=7301,
        run_directory=plan["directory"],
        gather_bound=120,
        start_bound=120,
    )
    shell.begun = asyncio.Event()

    async def one(node: Mapping[str, Any]) -> None:
        host = ShellHost(name=node["name"], address=node["address"], host_keys=(plan["host_key"],))
        # Their connections are open already when the broadcast begins, as in a deployment.
        await shell.local_address(host)
        if node["after"]:
            await shell.begun.wait()
            await asyncio.sleep(node["after"])
        target = BroadcastTarget(host=host, sink=BroadcastSink(kind="dd", compression="none", target=node["target"]))
        try:
            await session.receive(target, timeout=plan["timeout"], on_progress=lambda _done, _total: None)
        except ReceiveFailed as error:
            say("failed", host.name, why=str(error))

    with OpenedFile.open(Path(plan["file"])) as file:
        async with ChainBroadcast(shell, settings).session(file, digest=plan["digest"], user="bench") as session:
            await asyncio.gather(*(one(node) for node in plan["nodes"]))
    await shell.close()


def main() -> None:
    """Reads the plan and follows it."""
    asyncio.run(deploy(json.load(sys.stdin)))


if __name__ == "__main__":
    main()
