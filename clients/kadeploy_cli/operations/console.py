"""The serial console of a node on this terminal, both ways, until Ctrl-] or its end."""

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

import grpc

from kadeploy.deployer.v1 import deployer_service_pb2
from kadeploy_cli.connection.session import Session
from kadeploy_cli.terminal import output
from kadeploy_cli.terminal.answers import Stopped, reader
from kadeploy_cli.terminal.exit_codes import ExitCode
from kadeploy_edge.status import from_rpc_error

ESCAPE = b"\x1d"
"""Ctrl-], as telnet has it: no shell and no boot loader needs it."""
READ_BYTES = 4096
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """What leaves a console: any of these keys, or of these keys one after the other; and how a user is told so."""

    keys: tuple[bytes, ...] = (ESCAPE,)
    words: str = "Ctrl-] leaves it"


def attach(session: Session, node: str, leaving: Leaving = Leaving()) -> int:
    """Joins this terminal and a console. Every key goes to the node, Ctrl-C too, but those that leave.

    Without a terminal, stdin is what is typed, and that it ends ends nothing: the console is shown until it ends
    itself or the command is stopped.
    """
    deployer = session.deployer
    keyboard = _Keyboard(node, sys.stdin.fileno(), leaving.keys)
    # Said before the terminal is raw, and on stderr: stdout is the console's.
    output.say(f"console of {node}; {leaving.words}")
    try:
        with raw_terminal(sys.stdin.fileno()), reader() as reading:
            call = deployer.control.AttachConsole(keyboard.requests())
            keyboard.leave = call.cancel
            for answer in reading.answers(call):
                sys.stdout.buffer.write(answer.output)
                sys.stdout.buffer.flush()
    except grpc.RpcError as error:
        if not keyboard.left:
            raise deployer.failure(from_rpc_error(error)) from None
    except Stopped as stopped:
        return 128 + stopped.signal
    finally:
        keyboard.stop.set()
    output.say("" if keyboard.left else "the console has ended")
    return ExitCode.OK


class _Keyboard:
    """What is typed, as requests. gRPC reads them in a thread of its own."""

    def __init__(self, node: str, descriptor: int, leaving: tuple[bytes, ...]) -> None:
        self.stop = threading.Event()
        self.left = False
        self.leave: Callable[[], object] = self.stop.set
        self._node = node
        self._descriptor = descriptor
        self._leaving = leaving
        # The end of what was typed before: keys that leave may come one by one.
        self._before = b""

    def requests(self) -> Iterator[deployer_service_pb2.AttachConsoleRequest]:
        """Gives the node, and then everything that is typed until the escape."""
        target = deployer_service_pb2.ConsoleTarget(node=self._node)
        yield deployer_service_pb2.AttachConsoleRequest(target=target)
        while not self.stop.is_set():
            ready, _, _ = select.select([self._descriptor], [], [], LOOK_SECONDS)
            if not ready:
                continue
            typed = os.read(self._descriptor, READ_BYTES)
            sent, leaves = self._until_leaving(typed)
            if sent:
                yield deployer_service_pb2.AttachConsoleRequest(input=sent)
            if leaves:
                self.left = True
                self.leave()
            if leaves or not typed:
                return

    def _until_leaving(self, typed: bytes) -> tuple[bytes, bool]:
        """Returns what goes to the node of what was typed, and whether it leaves."""
        whole = self._before + typed
        ends = [place for keys in self._leaving if (place := whole.find(keys)) >= 0]
        if ends:
            return typed[: max(0, min(ends) - len(self._before))], True
        longest = max(len(keys) for keys in self._leaving)
        self._before = whole[-(longest - 1) :] if longest > 1 else b""
        return typed, False


@contextlib.contextmanager
def raw_terminal(descriptor: int) -> Iterator[None]:
    """Every key goes through as it is; the terminal is put back as it was."""
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    # A command that is told to end must not leave a terminal behind on which nothing can be typed.
    handlers = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    tty.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
