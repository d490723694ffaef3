"""A shell whose nodes say what the test wrote for them."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from kadeploy_deployer.engine.fence import pass_fence
from kadeploy_deployer.ports import (
    LAST_OUTPUT_BYTES,
    CommandResult,
    NodeUnreachable,
    OnPart,
    ShellError,
    ShellHost,
    UnprovedResult,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One command as it reached a node."""

    node: str
    arguments: tuple[str, ...]
    stdin: bytes = b""
    environment: Mapping[str, str] = field(default_factory=dict)
    host: ShellHost
    unproved: bool = False


Answer = CommandResult | ShellError
Handler = Callable[[Ran], Answer | Awaitable[Answer | None] | None]


@dataclass(slots=True, kw_only=True)
class _Rule:
    words: tuple[str, ...]
    node: str | None
    answer: Answer
    left: int | None


def succeeded(stdout: str = "") -> CommandResult:
    """Returns the result of a command that went well."""
    return CommandResult(exit_status=0, stdout=stdout, stderr="")


class ScriptedRemoteShell:
    """Answers commands by rules; what no rule and no handler knows succeeds and prints nothing.

    A rule matches a command that begins with its words. Later rules come before earlier ones; `times` bounds a rule.
    A handler, when set, is asked after the rules: it plays a machine (`tests/fakes/fake_site.py`).
    """

    def __init__(self, handler: Handler | None = None) -> None:
        self.handler = handler
        self.ran: list[Ran] = []
        self.forgotten: list[str] = []
        self.unreachable: set[str] = set()
        self.closed = False
        self.host_key_of: Callable[[str], str] = lambda _: "ssh-ed25519 UNKNOWN"
        self._rules: list[_Rule] = []

    def answer(
        self,
        *words: str,
        node: str | None = None,
        stdout: str = "",
        stderr: str = "",
        exit_status: int = 0,
        error: ShellError | None = None,
        times: int | None = None,
    ) -> None:
        """Adds a rule; `node` None: on every node."""
        result = CommandResult(exit_status=exit_status, stdout=stdout, stderr=stderr)
        self._rules.insert(0, _Rule(words=words, node=node, answer=error or result, left=times))

    def commands(self, node: str) -> list[tuple[str, ...]]:
        """Returns what was run on a node, in order."""
        return [ran.arguments for ran in self.ran if ran.node == node]

    async def run(
        self,
        host: ShellHost,
        arguments: Sequence[str],
        *,
        timeout: float,
        stdin: bytes | AsyncIterator[bytes] = b"",
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        on_part: OnPart | None = None,
    ) -> CommandResult:
        """As in the port."""
        await pass_fence()
        content = stdin if isinstance(stdin, bytes) else b"".join([part async for part in stdin])
        ran = Ran(
            node=host.name, arguments=tuple(arguments), stdin=content, environment=dict(environment or {}), host=host
        )
        self.ran.append(ran)
        if host.name in self.unreachable:
            raise NodeUnreachable(f"{host.name} does not answer on {host.address} port {host.port}")
        answer = self._by_rule(ran) or await self._by_handler(ran) or succeeded()
        if isinstance(answer, ShellError):
            raise answer
        for line in answer.stdout.splitlines():
            if on_line is not None:
                on_line(line)
        for text, is_error in ((answer.stdout, False), (answer.stderr, True)):
            if on_part is not None and text:
                await on_part(text.encode(), is_error)
        return CommandResult(
            exit_status=answer.exit_status,
            stdout=answer.stdout[-LAST_OUTPUT_BYTES:],
            stderr=answer.stderr[-LAST_OUTPUT_BYTES:],
        )

    async def run_unproved(self, host: ShellHost, arguments: Sequence[str], *, timeout: float) -> UnprovedResult:
        """As in the port; `host_key_of` says which key a node proves."""
        await pass_fence()
        ran = Ran(node=host.name, arguments=tuple(arguments), host=host, unproved=True)
        self.ran.append(ran)
        if host.name in self.unreachable:
            raise NodeUnreachable(f"{host.name} does not answer on {host.address} port {host.port}")
        answer = self._by_rule(ran) or await self._by_handler(ran) or succeeded()
        if isinstance(answer, ShellError):
            raise answer
        return UnprovedResult(host_key=self.host_key_of(host.name), result=answer)

    async def forget(self, host: ShellHost) -> None:
        """As in the port."""
        self.forgotten.append(host.name)

    async def local_address(self, host: ShellHost) -> str:
        """As in the port."""
        if host.name in self.unreachable:
            raise NodeUnreachable(f"{host.name} does not answer on {host.address} port {host.port}")
        return "192.0.2.1"

    async def close(self) -> None:
        """As in the port."""
        self.closed = True

    def _by_rule(self, ran: Ran) -> Answer | None:
        for rule in self._rules:
            matches = ran.arguments[: len(rule.words)] == rule.words and rule.node in {None, ran.node}
            if matches and rule.left != 0:
                if rule.left is not None:
                    rule.left -= 1
                return rule.answer
        return None

    async def _by_handler(self, ran: Ran) -> Answer | None:
        if self.handler is None:
            return None
        answer = self.handler(ran)
        return await answer if inspect.isawaitable(answer) else answer
