"""The last line of defence: whatever happens, the user sees one sentence and no traceback."""

import contextlib
import errno
import itertools
import os
import signal
import sys
import traceback
from importlib import import_module

import click

from kadeploy_cli.terminal import failures
from kadeploy_cli.terminal.exit_codes import ExitCode

REPORT = "This is a mistake in the command itself; --verbose shows where. Please report it."
INTERRUPTED = 128 + signal.SIGINT
# What writing to a terminal, a file or a pipe that is gone, or to a full disk, answers.
_OUTPUT_FAILED = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EBADF})


def run(command: click.Command | str, name: str, *, package: str = "kadeploy_cli") -> None:
    """Runs a command with the process's arguments and ends the process with its exit status.

    Args:
        command: the command; or "module:attribute" below `package`, imported here, so that Ctrl-C while the libraries
            are loaded ends the process without a traceback, too.
        name: as what the user called it.
        package: where the module is.
    """
    _open_standard_streams()
    try:
        _main(_loaded(command, package), name)
    except KeyboardInterrupt:
        _leave(INTERRUPTED)
    except SystemExit as end:
        # What is still buffered is written now, where a failure can be told.
        try:
            sys.stdout.flush()
        except OSError as error:
            _complain_of_output(name, error)
        raise end from None
    except OSError as error:
        if error.filename is None and error.errno in _OUTPUT_FAILED:
            _complain_of_output(name, error)
        _report(name, error)
    except Exception as error:  # noqa: BLE001
        _report(name, error)


def _main(command: click.Command, name: str) -> None:
    """Runs the command. What click has to say of the command line is JSON where the command line asks for it."""
    if not _wants_json(sys.argv[1:]):
        command.main(prog_name=name)
    try:
        status = command.main(prog_name=name, standalone_mode=False)
    except click.UsageError as error:
        failures.show_as_json(error.format_message(), ExitCode.USAGE)
        sys.exit(ExitCode.USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        failures.show_as_json("stopped", INTERRUPTED)
        sys.exit(INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def _wants_json(arguments: list[str]) -> bool:
    """Returns whether a command line asks for JSON, also one that cannot be understood."""
    forms = failures.FORMS_FOR_PROGRAMS
    pairs = itertools.pairwise(arguments)
    return any(one in ("-o", "--output") and two in forms for one, two in pairs) or any(
        one in (f"--output={form}", f"-o{form}") for one in arguments for form in forms
    )


def _open_standard_streams() -> None:
    """Makes what the shell has closed lead to nowhere; else the next file or connection would get its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def _loaded(command: click.Command | str, package: str) -> click.Command:
    if isinstance(command, click.Command):
        return command
    module, _, attribute = command.partition(":")
    found: click.Command = getattr(import_module(f"{package}.{module}"), attribute)
    return found


def _report(name: str, error: Exception) -> None:
    if _wants_json(sys.argv[1:]):
        failures.show_as_json(f"unexpected {type(error).__name__}: {_one_line(error)}", ExitCode.FAILED, advice=REPORT)
        sys.exit(ExitCode.FAILED)
    click.echo(f"{name}: unexpected {type(error).__name__}: {_one_line(error)}", err=True)
    if "--verbose" in sys.argv:
        for frame in traceback.extract_tb(error.__traceback__):
            click.echo(f"  {frame.filename}:{frame.lineno} in {frame.name}", err=True)
    else:
        click.echo(f"  {REPORT}", err=True)
    sys.exit(ExitCode.FAILED)


def _complain_of_output(name: str, error: OSError) -> None:
    """Ends the process. A reader who has gone away is no failure to talk about."""
    if error.errno != errno.EPIPE:
        with contextlib.suppress(OSError):
            click.echo(f"{name}: the output cannot be written: {error.strerror}", err=True)
    _leave(ExitCode.FAILED)


def _leave(status: int) -> None:
    """Ends the process without another try to write what could not be written, which Python would complain about."""
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(status)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
