"""How a sentence quotes a command that failed."""

from kadeploy_deployer.ports import CommandResult

SHOWN_CHARACTERS = 300


def last_words(result: CommandResult) -> str:
    """Returns the exit status and the last line that a command printed, on standard error if there is one."""
    for output in (result.stderr, result.stdout):
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        if lines:
            return f"exit {result.exit_status}: {lines[-1][:SHOWN_CHARACTERS]}"
    return f"exit {result.exit_status} without a word"
