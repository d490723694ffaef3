"""Writes the reference part of docs/commands.md from the commands themselves.

`python -m kadeploy_cli.reference docs/commands.md` rewrites what stands after the marker; a test fails when
it is stale.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from kadeploy_cli.deployments import classic_commands as classic_deploy
from kadeploy_cli.environments import archive_commands as classic_archives
from kadeploy_cli.environments import classic_commands as classic_environments
from kadeploy_cli.environments.kaenv import kaenv
from kadeploy_cli.history.kastat import kastat
from kadeploy_cli.ka import ka
from kadeploy_cli.nodes import classic_commands as classic_nodes
from kadeploy_cli.operations import classic_commands as classic_control
from kadeploy_cli.rights import classic_commands as classic_rights

MARKER = "<!-- What follows is written by `python -m kadeploy_cli.reference docs/commands.md`. -->\n"
COMMON = {"--config", "--insecure", "--verbose", "--help", "--version"}
CLASSIC: tuple[click.Command, ...] = (
    classic_deploy.kadeploy,
    classic_control.kareboot,
    classic_control.kapower,
    classic_control.kaconsole,
    classic_control.karemote,
    classic_control.kaaddkeys,
    classic_control.kastats,
    kastat,
    classic_nodes.kaaddnode,
    classic_nodes.kadelnode,
    classic_nodes.kanodes,
    classic_environments.karecordenv,
    classic_environments.kaenvironments,
    kaenv,
    classic_archives.kaarchive,
    classic_archives.kacreateenv,
    classic_rights.kaadduser,
    classic_rights.kadeluser,
    classic_rights.karights,
)


def render() -> str:
    """Returns the reference of every command as Markdown."""
    parts = ["## Classic commands\n"]
    parts += [_section(command.name or "", command) for command in CLASSIC]
    parts.append("## ka\n")
    parts += [_section(f"ka {name}", command) for name, command in _leaves(ka)]
    return "\n".join(parts)


def _leaves(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _leaves(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    text = "\n".join(line.strip() for line in (command.help or "").splitlines()).strip()
    lines = [f"### {name}\n", f"    {name} {usage}\n", f"{text}\n"]
    rows = [row for parameter in command.get_params(context) if (row := _row(parameter, context))]
    if rows:
        lines += ["| Option | Meaning |", "| --- | --- |", *rows, ""]
    return "\n".join(lines)


def _row(parameter: click.Parameter, context: click.Context) -> str:
    record = parameter.get_help_record(context)
    if record is None or not isinstance(parameter, click.Option) or COMMON & set(parameter.opts):
        return ""
    names, meaning = (text.replace("|", "\\|") for text in record)
    return f"| `{names}` | {meaning} |"


def rewrite(arguments: Sequence[str], marker: str, render: Callable[[], str]) -> int:
    """Rewrites what stands after a marker in the page that the arguments name; returns the exit status."""
    if len(arguments) != 1:
        print("name one page to rewrite", file=sys.stderr)
        return 2
    page = Path(arguments[0])
    written, found, _ = page.read_text(encoding="utf-8").partition(marker)
    if not found:
        print(f"{page} has no marker line: {marker}", file=sys.stderr)
        return 1
    page.write_text(f"{written}{marker}\n{render()}", encoding="utf-8")
    return 0


def main() -> int:
    """Rewrites the reference part of the file that the command line names."""
    return rewrite(sys.argv[1:], MARKER, render)


if __name__ == "__main__":
    sys.exit(main())
