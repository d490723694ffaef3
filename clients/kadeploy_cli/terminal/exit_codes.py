"""What the exit status of every command means. The same table stands in docs/commands.md."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit statuses of `ka` and of every classic command."""

    OK = 0
    # No node was deployed, or a command met something that nobody foresaw.
    FAILED = 1
    # The command line, a file or a value cannot be accepted as it is.
    USAGE = 2
    # A service does not answer, or not in time.
    UNREACHABLE = 3
    NOT_FOUND = 4
    # The request is understood, and refused as things stand: busy nodes, missing rights, something that exists already.
    REFUSED = 5
    # Some of the nodes succeeded, some did not.
    PARTIAL = 6
    # Stopped from the keyboard.
    INTERRUPTED = 130
