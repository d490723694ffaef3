"""Each command that the client's distribution installs leads to a click command of that name."""

import importlib
import tomllib
from pathlib import Path

import click
import pytest

from kadeploy_cli.login.agent_command import build_parser, main
from kadeploy_cli.terminal import guard

PYPROJECT = Path(__file__).parents[3] / "clients" / "pyproject.toml"
SCRIPTS = tomllib.loads(PYPROJECT.read_text())["project"]["scripts"]


# A daemon's, with the command line of the services.
AGENT = "kadeploy-login-agent"


def test_the_agent_has_the_command_line_of_a_service() -> None:
    assert build_parser().prog == AGENT
    assert SCRIPTS[AGENT] == f"{main.__module__}:main"


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name != AGENT])
def test_an_entry_point_leads_to_its_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, _, function = SCRIPTS[name].partition(":")
    called: list[tuple[str, click.Command]] = []
    monkeypatch.setattr(guard, "run", lambda command, title: called.append((title, guard._loaded(command))))
    getattr(importlib.import_module(module), function)()
    ((title, command),) = called
    assert title == command.name == name
