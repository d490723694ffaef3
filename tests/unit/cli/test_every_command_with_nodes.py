"""Wherever a command is about nodes, they are named as node sets: -m repeated, -f FILE, -f - and, in `ka`, NODES."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kadeploy_cli.connection.settings import SERVICES, VARIABLE
from kadeploy_cli.deployments import classic_commands as classic_deploy
from kadeploy_cli.environments import archive_commands as classic_archives
from kadeploy_cli.environments import classic_commands as classic_environments
from kadeploy_cli.ka import ka
from kadeploy_cli.nodes import classic_commands as classic_nodes
from kadeploy_cli.operations import classic_commands as classic_control
from kadeploy_cli.rights import classic_commands as classic_rights

ROOMS = (classic_archives, classic_control, classic_deploy, classic_environments, classic_nodes, classic_rights)
# One node alone, by its name: a console is attached to, a node is shown, an entry is shown.
ONE_NODE = {"kaconsole", "ka node console", "ka node show", "ka boot show"}
# What a command asks for besides its nodes.
BESIDES = {
    "kadeploy": ["-e", "debian"],
    "kapower": ["--status"],
    "kanodes": ["-listnode"],
    "kaadduser": ["-l", "alice"],
    "kadeluser": ["-l", "alice"],
    "karights": ["-l"],
    "karemote": ["-c", "true"],
    "kaaddkeys": ["-k", "key.pub"],
    "ka deployment start": ["-e", "debian"],
    "ka deployment plan": ["-e", "debian"],
    "ka dhcp render": ["--format", "isc"],
    "ka node power": ["status"],
    "ka node run": ["true"],
    "ka right grant": ["-l", "alice"],
    "ka right revoke": ["-l", "alice"],
}
BAD = "node-[1-"


def commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    for word, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def every_command() -> dict[str, click.Command]:
    classic = {
        name: value
        for room in ROOMS
        for name, value in vars(room).items()
        if isinstance(value, click.Command) and name.startswith("ka")
    }
    return classic | dict(commands(ka, "ka"))


def parameters(command: click.Command) -> set[str]:
    return {str(parameter.name) for parameter in command.params}


ABOUT_NODES = {
    name: command
    for name, command in every_command().items()
    if parameters(command) & {"machines", "node_file", "node_set", "names"} and name not in ONE_NODE
}
BY_OPTIONS = sorted(name for name, command in ABOUT_NODES.items() if "machines" in parameters(command))
BY_WORD = sorted(name for name, command in ABOUT_NODES.items() if "node_set" in parameters(command))


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Services that nobody answers for: node sets are read before anybody is called."""
    settings = tmp_path / "client.toml"
    settings.write_text("".join(f'[{name}]\naddress = "unix:/absent"\n' for name in SERVICES))
    monkeypatch.setenv(VARIABLE, str(settings))
    monkeypatch.chdir(tmp_path)
    Path("key.pub").write_text("ssh-ed25519 AAAA alice\n")


def told(name: str, arguments: list[str], *, stdin: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(ABOUT_NODES[name], [*arguments, *BESIDES.get(name, [])], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stderr


def test_the_commands_are_found() -> None:
    classic = {"kadeploy", "kareboot", "kapower", "karemote", "kaaddkeys", "kadelnode", "kanodes", "kaenvironments"}
    assert classic | {"kaadduser", "kadeluser", "karights", "kastats"} <= set(BY_OPTIONS)
    assert {"ka node list", "ka node delete", "ka node reboot", "ka boot set", "ka partition list"} <= set(BY_WORD)


@pytest.mark.parametrize("name", BY_OPTIONS)
def test_an_option_is_read_as_a_node_set_in_each_of_its_forms(name: str, tmp_path: Path) -> None:
    assert "node_file" in parameters(ABOUT_NODES[name])
    file = tmp_path / "names"
    file.write_text(f"# mine\nnode-[01-16,20]\n{BAD}\n")
    for arguments, stdin, source in (
        (["-m", BAD], "", "-m"),
        (["-m", "node-[01-16,20]", "-m", BAD], "", "-m"),
        (["-f", str(file)], "", f"{file}, line 3"),
        (["-f", "-"], f"node-1\n{BAD}\n", "stdin, line 2"),
    ):
        code, stderr = told(name, arguments, stdin=stdin)
        assert (code, f"{source}: '{BAD}' is not a node set" in stderr) == (2, True), (name, arguments, stderr)
    # And a good one leads to a service, with status 3 where nobody answers.
    for good in (["-m", "node-[01-16,20]", "-m", "gpu-3"], ["-f", "-"]):
        code, stderr = told(name, good, stdin="node-[01-16,20]\n")
        assert (code, "does not answer at unix:/absent" in stderr) == (3, True), (name, good, stderr)


@pytest.mark.parametrize("name", BY_WORD)
def test_a_word_is_read_as_a_node_set(name: str) -> None:
    code, stderr = told(name, [BAD])
    assert (code, f"'{BAD}' is not a node set" in stderr) == (2, True), (name, stderr)
