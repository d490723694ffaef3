"""What a command says when it cannot go on: one sentence, what to try next, and the exit status.

Every failure that a user can meet ends as a `Failure`; click prints it and exits with its code.
"""

import json
import sys
from typing import IO, Any

import click

from kadeploy_cli.terminal.exit_codes import ExitCode

FORMS_FOR_PROGRAMS = ("json", "ndjson")


class Failure(click.ClickException):
    """A command's end for a known reason."""

    def __init__(
        self,
        message: str,
        *,
        exit_code: ExitCode,
        advice: str = "",
        details: tuple[str, ...] = (),
        reason: str = "",
    ) -> None:
        super().__init__(message)
        # The word that a service gives for it; empty for what went wrong on this side.
        self.reason = reason
        # click declares it for the class; each failure has its own.
        self.exit_code = int(exit_code)  # type: ignore[misc]
        self.advice = advice
        # Shown with --verbose alone.
        self.details = details
        # click leaves the command's context before it shows the error.
        context = click.get_current_context(silent=True)
        self.program = (context.find_root().info_name if context else None) or "ka"
        self.verbose = bool(context and context.params.get("verbose"))
        self.as_json = bool(context and context.params.get("output_form") in FORMS_FOR_PROGRAMS)

    def show(self, file: IO[Any] | None = None) -> None:
        """Prints the message, the advice and, when asked for, the details to stderr; under `-o json` as JSON."""
        stream = file if file is not None else sys.stderr
        if self.as_json:
            show_as_json(self.message, self.exit_code, reason=self.reason, advice=self.advice, details=self.details)
            return
        click.echo(f"{self.program}: {self.message}", file=stream)
        if self.advice:
            click.echo(f"  {self.advice}", file=stream)
        if self.verbose:
            for line in self.details:
                click.echo(f"  {line}", file=stream)


def show_as_json(
    message: str, exit_code: int, *, reason: str = "", advice: str = "", details: tuple[str, ...] = ()
) -> None:
    """Prints why a command ended, for programs, as one line on stderr."""
    error = {"message": message, "reason": reason, "advice": advice, "details": list(details), "exit_status": exit_code}
    click.echo(json.dumps({"error": error}, ensure_ascii=False), err=True)


class UsageFailure(Failure):
    """Something that was typed or written in a file cannot be accepted."""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message, exit_code=ExitCode.USAGE, advice=advice)
