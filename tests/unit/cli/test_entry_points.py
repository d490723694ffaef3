"""Each command that the client's distribution installs leads to a click command of that name."""

import importlib
import tomllib
from pathlib import Path

import click
import pytest

from kadeploy_cli.login.agent_command import build_parser, main
from kadeploy_cli.terminal import guard

CHECKOUT = Path(__file__).parents[3]
SCRIPTS = {
    name: target
    for folder in ("clients", "clients/version3")
    for name, target in tomllib.loads((CHECKOUT / folder / "pyproject.toml").read_text())["project"]["scripts"].items()
}


# A daemon's, with the command line of the services.
AGENT = "kadeploy-login-agent"


def test_the_agent_has_the_command_line_of_a_service() -> None:
    assert build_parser().prog == AGENT
    assert SCRIPTS[AGENT] == f"{main.__module__}:main"


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name != AGENT])
def test_an_entry_point_leads_to_its_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, _, function = SCRIPTS[name].partition(":")
    called: list[tuple[str, click.Command]] = []

    def record(command: str, title: str, *, package: str = "kadeploy_cli") -> None:
        called.append((title, guard._loaded(command, package)))

    monkeypatch.setattr(guard, "run", record)
    getattr(importlib.import_module(module), function)()
    ((title, command),) = called
    assert title == command.name == name
