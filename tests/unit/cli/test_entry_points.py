"""Each command that the client's distribution installs leads to a click command of that name."""

import importlib
import tomllib
from pathlib import Path

import click
import pytest

from kadeploy_cli.terminal import guard

CHECKOUT = Path(__file__).parents[3]
SCRIPTS = {
    name: target
    for folder in ("clients", "clients/version3")
    for name, target in tomllib.loads((CHECKOUT / folder / "pyproject.toml").read_text())["project"]["scripts"].items()
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_entry_point_leads_to_its_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, _, function = SCRIPTS[name].partition(":")
    called: list[tuple[str, click.Command]] = []

    def record(command: str, title: str, *, package: str = "kadeploy_cli") -> None:
        called.append((title, guard._loaded(command, package)))

    monkeypatch.setattr(guard, "run", record)
    getattr(importlib.import_module(module), function)()
    ((title, command),) = called
    assert title == command.name == name
