r"""The log of a service: one line for each record, whatever the record holds.

Text of a caller may stand in a message, a value or an exception. Characters that begin a line, move the cursor of a
terminal or turn the direction of writing are shown as escapes: "\n", "\x1b", "\u2028". The lines of a traceback
follow the line of their record, each behind a mark that no record begins with.
"""

import logging
import sys
import unicodedata
from collections.abc import Iterable
from types import TracebackType

from kadeploy_edge.json_lines import JsonFormatter

FORMAT = "time=%(asctime)s level=%(levelname)s logger=%(name)s %(message)s"
LOG_FORMATS = ("text", "json")
TRACEBACK_MARK = "  | "
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Control, format and surrogate characters, and the separators of lines and paragraphs.
_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def set_up_logging(level: str, *, quiet: Iterable[str] = ()) -> None:
    """Sends the log to standard error.

    Args:
        level: the least level that is logged, such as "info".
        quiet: loggers of libraries that log from WARNING on.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for name in quiet:
        logging.getLogger(name).setLevel(logging.WARNING)


def set_log_format(form: str) -> None:
    """Writes the log in a form of LOG_FORMATS from now on."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonFormatter() if form == "json" else LineFormatter())


def escaped(text: str) -> str:
    """Returns a text as it may stand in a line."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


class LineFormatter(logging.Formatter):
    """Formats a record as one line, and a traceback as marked lines below it."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Returns the line of a record."""
        return escaped(super().formatMessage(record))

    def formatException(  # noqa: N802 - logging's name
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        """Returns a traceback as marked lines."""
        return _marked(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """Returns a stack as marked lines."""
        return _marked(stack_info)


def _marked(text: str) -> str:
    return "\n".join(f"{TRACEBACK_MARK}{escaped(line)}" for line in text.split("\n"))


def _shown(letter: str) -> str:
    if unicodedata.category(letter) not in _ESCAPED_CATEGORIES:
        return letter
    return _NAMED.get(letter) or letter.encode("unicode_escape", "surrogatepass").decode()
