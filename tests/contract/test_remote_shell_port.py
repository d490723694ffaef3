"""What every RemoteShell does: the scripted one, and the real one against a real server."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import asyncssh
import pytest

from kadeploy_deployer.adapters.command_line import command_line, command_word
from kadeploy_deployer.adapters.remote_shell_ssh import SshRemoteShell
from kadeploy_deployer.adapters.ssh.login import UnusablePrivateKey
from kadeploy_deployer.domain.errors import LeaseLost
from kadeploy_deployer.engine.fence import behind
from kadeploy_deployer.ports import (
    LAST_OUTPUT_BYTES,
    CommandResult,
    CommandTimedOut,
    NodeUnreachable,
    OtherHostKey,
    RemoteShell,
    ShellHost,
)
from tests.fakes.closed_fence import closed_fence
from tests.fakes.local_ssh_server import LocalSshServer, public
from tests.fakes.scripted_remote_shell import Ran, ScriptedRemoteShell

SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Subject:
    shell: RemoteShell
    host: ShellHost
    make_unreachable: Callable[[], Awaitable[None]]


async def run_here(ran: Ran) -> CommandResult:
    """Plays a node by running the command on this machine."""
    pipe = asyncio.subprocess.PIPE
    words = [f"{name}={value}" for name, value in ran.environment.items()]
    process = await asyncio.create_subprocess_exec("env", *words, *ran.arguments, stdin=pipe, stdout=pipe, stderr=pipe)
    stdout, stderr = await process.communicate(ran.stdin)
    assert process.returncode is not None
    status = process.returncode if process.returncode >= 0 else 128 - process.returncode
    return CommandResult(exit_status=status, stdout=stdout.decode(), stderr=stderr.decode())


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalSshServer]:
    local = LocalSshServer(tmp_path)
    await local.start()
    yield local
    await local.stop()


@pytest.fixture
async def ssh_shell(server: LocalSshServer) -> AsyncIterator[SshRemoteShell]:
    shell = SshRemoteShell(server.private_key_path)
    yield shell
    await shell.close()


@pytest.fixture(params=["scripted", "ssh"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "ssh":
        server: LocalSshServer = request.getfixturevalue("server")
        shell: SshRemoteShell = request.getfixturevalue("ssh_shell")
        return Subject(shell=shell, host=server.host, make_unreachable=server.stop)
    scripted = ScriptedRemoteShell(run_here)
    host = ShellHost(name="node-1", address="127.0.0.1", host_keys=("ssh-ed25519 AAAA",))

    async def make_unreachable() -> None:
        scripted.unreachable.add(host.name)

    return Subject(shell=scripted, host=host, make_unreachable=make_unreachable)


async def test_a_result_has_status_and_both_outputs(subject: Subject) -> None:
    result = await subject.shell.run(subject.host, ("sh", "-c", "echo out; echo err >&2; exit 3"), timeout=SECONDS)
    assert result == CommandResult(exit_status=3, stdout="out\n", stderr="err\n")


async def test_no_shell_reads_anything_in_an_argument(subject: Subject) -> None:
    nasty = "$(id) `id` ; \"'\\ * \n ~"
    result = await subject.shell.run(subject.host, ("printf", "%s", nasty), timeout=SECONDS)
    assert result.stdout == nasty


async def test_variables_reach_the_command_unread(subject: Subject) -> None:
    result = await subject.shell.run(
        subject.host, ("printenv", "KADEPLOY_ENV"), timeout=SECONDS, environment={"KADEPLOY_ENV": "a $b; 'c'"}
    )
    assert result.stdout == "a $b; 'c'\n"


async def test_a_command_reads_bytes(subject: Subject) -> None:
    content = bytes(range(32, 127)) * 20_000
    result = await subject.shell.run(subject.host, ("wc", "-c"), timeout=SECONDS, stdin=content)
    assert int(result.stdout) == len(content)


async def test_a_command_reads_an_iterator(subject: Subject) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b"one ", b"two ", b"three"):
            await asyncio.sleep(0)
            yield part

    result = await subject.shell.run(subject.host, ("cat",), timeout=SECONDS, stdin=parts())
    assert result.stdout == "one two three"


async def test_a_command_need_not_read_what_it_is_given(subject: Subject) -> None:
    result = await subject.shell.run(subject.host, ("true",), timeout=SECONDS, stdin=b"x" * 5_000_000)
    assert result.exit_status == 0


async def test_every_line_is_told_even_without_an_end(subject: Subject) -> None:
    lines: list[str] = []
    await subject.shell.run(subject.host, ("printf", "a\nb\n\nc"), timeout=SECONDS, on_line=lines.append)
    assert lines == ["a", "b", "", "c"]


async def test_what_is_printed_on_either_output_is_passed_on(subject: Subject) -> None:
    printed: dict[bool, bytes] = {False: b"", True: b""}

    async def take(part: bytes, is_error: bool) -> None:
        printed[is_error] += part

    await subject.shell.run(subject.host, ("sh", "-c", "printf a; printf b >&2"), timeout=SECONDS, on_part=take)
    assert printed == {False: b"a", True: b"b"}


async def test_both_outputs_are_passed_on_while_the_command_runs(
    ssh_shell: SshRemoteShell, server: LocalSshServer
) -> None:
    passed: list[tuple[bytes, bool]] = []
    go_on = asyncio.Event()

    async def answers() -> AsyncIterator[bytes]:
        for _ in range(2):
            await go_on.wait()
            go_on.clear()
            yield b"more\n"

    async def take(part: bytes, is_error: bool) -> None:
        passed.append((part, is_error))
        go_on.set()

    # It prints the next word only when it has heard that the one before came through.
    script = "echo one >&2; read x; echo two; read x; echo three >&2"
    await ssh_shell.run(server.host, ("sh", "-c", script), timeout=SECONDS, stdin=answers(), on_part=take)
    assert passed == [(b"one\n", True), (b"two\n", False), (b"three\n", True)]


async def test_a_command_waits_for_a_reader_who_takes_his_time(
    ssh_shell: SshRemoteShell, server: LocalSshServer, tmp_path: Path
) -> None:
    everything = tmp_path / "everything"
    taken = 0

    async def take(part: bytes, _is_error: bool) -> None:
        nonlocal taken
        taken += len(part)
        if taken < 1_000_000:
            # The command is far from its end: nobody has taken what it wants to print.
            assert not everything.exists()

    script = f"head -c 20000000 /dev/zero; : >{everything}"
    await ssh_shell.run(server.host, ("sh", "-c", script), timeout=SECONDS, on_part=take)
    assert (taken, everything.exists()) == (20_000_000, True)


async def test_only_the_end_of_a_long_output_is_kept(subject: Subject) -> None:
    result = await subject.shell.run(subject.host, ("seq", "100000"), timeout=SECONDS)
    assert len(result.stdout) == LAST_OUTPUT_BYTES
    assert result.stdout.endswith("\n99999\n100000\n")


async def test_a_killed_command_has_the_status_of_its_signal(subject: Subject) -> None:
    result = await subject.shell.run(subject.host, ("sh", "-c", "kill -KILL $$"), timeout=SECONDS)
    assert result.exit_status == 137


async def test_an_unreachable_node_is_named(subject: Subject) -> None:
    await subject.make_unreachable()
    with pytest.raises(NodeUnreachable, match="node-1"):
        await subject.shell.run(subject.host, ("true",), timeout=SECONDS)
    with pytest.raises(NodeUnreachable, match="node-1"):
        await subject.shell.local_address(subject.host)


async def test_a_node_sees_an_address(subject: Subject) -> None:
    assert await subject.shell.local_address(subject.host)


async def test_commands_run_again_after_a_node_was_forgotten(subject: Subject) -> None:
    await subject.shell.run(subject.host, ("true",), timeout=SECONDS)
    await subject.shell.forget(subject.host)
    await subject.shell.forget(subject.host)
    result = await subject.shell.run(subject.host, ("echo", "again"), timeout=SECONDS)
    assert result.stdout == "again\n"


async def test_one_connection_serves_many_commands(ssh_shell: SshRemoteShell, server: LocalSshServer) -> None:
    await asyncio.gather(*(ssh_shell.run(server.host, ("true",), timeout=SECONDS) for _ in range(10)))
    assert server.connections == 1
    await ssh_shell.forget(server.host)
    await ssh_shell.run(server.host, ("true",), timeout=SECONDS)
    assert server.connections == 2


async def test_a_broken_connection_is_made_anew(ssh_shell: SshRemoteShell, server: LocalSshServer) -> None:
    await ssh_shell.run(server.host, ("true",), timeout=SECONDS)
    await server.break_connections()
    result = await ssh_shell.run(server.host, ("echo", "again"), timeout=SECONDS)
    assert result.stdout == "again\n"


async def test_a_connection_that_breaks_under_a_command_is_told(
    ssh_shell: SshRemoteShell, server: LocalSshServer
) -> None:
    def cut(_line: str) -> None:
        cutting.append(asyncio.ensure_future(server.break_connections()))

    cutting: list[asyncio.Future[None]] = []
    with pytest.raises(NodeUnreachable, match="connection to node-1 broke while 'a-script' ran"):
        await ssh_shell.run(server.host, ("sh", "-c", "echo; sleep 60", "a-script"), timeout=SECONDS, on_line=cut)
    await asyncio.gather(*cutting)


async def test_a_command_without_an_end_is_ended_by_its_timeout(
    ssh_shell: SshRemoteShell, server: LocalSshServer, tmp_path: Path
) -> None:
    script = 'echo $$ >"$1"; exec sleep 60'
    with pytest.raises(CommandTimedOut, match="'sleeper' on node-1 did not end within 1 s"):
        await ssh_shell.run(server.host, ("sh", "-c", script, "sleeper", str(tmp_path / "pid")), timeout=1)
    process = Path("/proc", (tmp_path / "pid").read_text().strip())
    async with asyncio.timeout(SECONDS):
        while await asyncio.to_thread(process.exists):
            pass
    result = await ssh_shell.run(server.host, ("echo", "next"), timeout=SECONDS)
    assert result.stdout == "next\n"


async def test_a_command_ends_with_whoever_wanted_it(
    ssh_shell: SshRemoteShell, server: LocalSshServer, tmp_path: Path
) -> None:
    begun = asyncio.Event()

    async def heard(_part: bytes, _is_error: bool) -> None:
        begun.set()

    script = 'echo $$ >"$1"; echo begun; exec sleep 60'
    arguments = ("sh", "-c", script, "sleeper", str(tmp_path / "pid"))
    running = asyncio.create_task(ssh_shell.run(server.host, arguments, timeout=SECONDS, on_part=heard))
    await begun.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    process = Path("/proc", (tmp_path / "pid").read_text().strip())
    async with asyncio.timeout(SECONDS):
        while await asyncio.to_thread(process.exists):
            pass


@pytest.mark.parametrize("turns", range(0, 60, 4))
async def test_a_command_that_is_not_wanted_any_more_before_it_has_begun_is_ended_too(
    turns: int, ssh_shell: SshRemoteShell, server: LocalSshServer
) -> None:
    assert (await ssh_shell.run(server.host, ("true",), timeout=SECONDS)).exit_status == 0
    running = asyncio.create_task(ssh_shell.run(server.host, ("sleep", "60"), timeout=SECONDS))
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    # Whatever was on its way to the server has arrived before this.
    assert (await ssh_shell.run(server.host, ("true",), timeout=SECONDS)).exit_status == 0
    async with asyncio.timeout(SECONDS):
        while server.children:  # noqa: ASYNC110 - the kernel sets no event
            await asyncio.sleep(0.01)


async def test_another_host_key_is_told_from_silence(ssh_shell: SshRemoteShell, server: LocalSshServer) -> None:
    other = replace(server.host, host_keys=(public(asyncssh.generate_private_key("ssh-ed25519")),))
    with pytest.raises(OtherHostKey, match="node-1"):
        await ssh_shell.run(other, ("true",), timeout=SECONDS)


async def test_a_host_key_of_another_kind_is_told_from_silence(
    ssh_shell: SshRemoteShell, server: LocalSshServer
) -> None:
    other = replace(server.host, host_keys=(public(asyncssh.generate_private_key("ecdsa-sha2-nistp256")),))
    with pytest.raises(OtherHostKey, match="node-1"):
        await ssh_shell.run(other, ("true",), timeout=SECONDS)


@pytest.mark.parametrize("kind", ["ssh-rsa", "ecdsa-sha2-nistp521", "ssh-ed25519"])
async def test_a_server_is_offered_all_kinds_of_host_keys_so_that_it_does_not_hang_up(
    ssh_shell: SshRemoteShell, server: LocalSshServer, kind: str
) -> None:
    other = replace(server.host, host_keys=(public(asyncssh.generate_private_key(kind)),))
    with pytest.raises(OtherHostKey, match="proved another host key than expected"):
        await ssh_shell.run(other, ("true",), timeout=SECONDS)


async def test_whoever_answers_is_asked_without_trust_and_says_its_key(subject: Subject) -> None:
    if isinstance(subject.shell, ScriptedRemoteShell):
        subject.shell.host_key_of = lambda _: subject.host.host_keys[0]
    stranger = replace(subject.host, host_keys=("ssh-ed25519 NOBODY",))
    said = await subject.shell.run_unproved(stranger, ("echo", "x y"), timeout=SECONDS)
    assert (said.result.stdout, said.result.exit_status) == ("x y\n", 0)
    assert said.host_key == " ".join(subject.host.host_keys[0].split()[:2])
    await subject.make_unreachable()
    with pytest.raises(NodeUnreachable):
        await subject.shell.run_unproved(stranger, ("true",), timeout=SECONDS)


async def test_an_unproved_command_has_its_bound(ssh_shell: SshRemoteShell, server: LocalSshServer) -> None:
    with pytest.raises(CommandTimedOut, match="on node-1 did not end within 1 s"):
        await ssh_shell.run_unproved(server.host, ("sleep", "60"), timeout=1.0)


async def test_a_host_key_that_is_none_is_told(ssh_shell: SshRemoteShell, server: LocalSshServer) -> None:
    with pytest.raises(NodeUnreachable, match="a host key that is known of node-1 cannot be read"):
        await ssh_shell.run(replace(server.host, host_keys=("rubbish",)), ("true",), timeout=SECONDS)


async def test_a_silent_node_takes_no_place_from_others(server: LocalSshServer) -> None:
    shell = SshRemoteShell(server.private_key_path, handshakes_at_once=1)
    with socket.socket() as full:
        # Nobody accepts and the queue is full: connections to it wait, as those to a machine that is off.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):
            silent = replace(server.host, name="node-2", port=full.getsockname()[1])
            waiting = asyncio.create_task(shell.run(silent, ("true",), timeout=2.0))
            await asyncio.sleep(0.05)
            assert (await shell.run(server.host, ("true",), timeout=1.5)).exit_status == 0
            with pytest.raises(NodeUnreachable, match="node-2 did not answer"):
                await waiting
    await shell.close()


async def test_one_of_many_host_keys_is_enough(ssh_shell: SshRemoteShell, server: LocalSshServer) -> None:
    other = public(asyncssh.generate_private_key("ssh-ed25519"))
    host = replace(server.host, host_keys=(other, *server.host.host_keys))
    assert (await ssh_shell.run(host, ("true",), timeout=SECONDS)).exit_status == 0


async def test_a_refused_key_is_told(server: LocalSshServer, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(stranger)
    shell = SshRemoteShell(stranger)
    with pytest.raises(NodeUnreachable, match="does not let the deployer's key in"):
        await shell.run(server.host, ("true",), timeout=SECONDS)


async def test_a_host_that_says_nothing_is_given_up(ssh_shell: SshRemoteShell, server: LocalSshServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = replace(server.host, port=silent.getsockname()[1])
        with pytest.raises(NodeUnreachable, match=r"did not answer on 127.0.0.1 port .* within 0.3 s"):
            await ssh_shell.run(host, ("true",), timeout=0.3)


async def test_an_unusable_private_key_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnusablePrivateKey, match="cannot be used"):
        SshRemoteShell(tmp_path / "absent")
    (tmp_path / "rubbish").write_text("rubbish")
    with pytest.raises(UnusablePrivateKey, match="cannot be used"):
        SshRemoteShell(tmp_path / "rubbish")


async def test_what_the_input_raises_ends_the_command(ssh_shell: SshRemoteShell, server: LocalSshServer) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"x"
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        await ssh_shell.run(server.host, ("cat",), timeout=SECONDS, stdin=parts())


def test_a_command_line_is_quoted_and_names_are_checked() -> None:
    assert command_line(("echo", "a b"), {"NAME": "it's"}) == "env 'NAME=it'\"'\"'s' echo 'a b'"
    with pytest.raises(ValueError, match="cannot name a variable"):
        command_line(("true",), {"A B": ""})
    with pytest.raises(ValueError, match="at least one word"):
        command_line((), None)


def test_a_script_is_named_by_its_own_word() -> None:
    assert command_word(("sfdisk", "/dev/vda")) == "'sfdisk'"
    assert command_word(("sh", "-c", "a long script", "write-file", "/path")) == "'write-file'"


async def test_who_has_lost_his_lease_runs_nothing(subject: Subject, tmp_path: Path) -> None:
    assert (await subject.shell.run(subject.host, ("true",), timeout=SECONDS)).exit_status == 0
    with behind(closed_fence()), pytest.raises(LeaseLost):
        await subject.shell.run(subject.host, ("touch", str(tmp_path / "touched")), timeout=SECONDS)
    assert (await subject.shell.run(subject.host, ("true",), timeout=SECONDS)).exit_status == 0
    assert not (tmp_path / "touched").exists()
