"""The last line of defence: whatever happens, the user sees one sentence and no traceback."""

import sys
import traceback

import click

from kadeploy_cli.terminal.exit_codes import ExitCode

REPORT = "This is a mistake in the command itself; --verbose shows where. Please report it."


def run(command: click.Command, name: str) -> None:
    """Runs a command with the process's arguments and ends the process with its exit status."""
    try:
        command.main(prog_name=name)
    except Exception as error:  # noqa: BLE001
        click.echo(f"{name}: unexpected {type(error).__name__}: {_one_line(error)}", err=True)
        if "--verbose" in sys.argv:
            for frame in traceback.extract_tb(error.__traceback__):
                click.echo(f"  {frame.filename}:{frame.lineno} in {frame.name}", err=True)
        else:
            click.echo(f"  {REPORT}", err=True)
        sys.exit(ExitCode.FAILED)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
