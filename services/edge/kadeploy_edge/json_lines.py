"""The log as JSON: one object for each record, for programs that read logs.

Messages are written as "key=%s text" throughout. The keys of a message become keys of the object, with their values as
they were given, so nobody has to take texts apart.
"""

import json
import logging
import re
import time
from collections.abc import Iterator

from kadeploy_edge.request_id import current_request_id

# A key and its place in a message; places without a key are counted, too.
_PLACE = re.compile(r"(?:(?<![\w-])([a-z_]+)=)?%(?:%|[-+ #0]*\d*(?:\.\d+)?[a-zA-Z])")
OWN = frozenset({"time", "level", "logger", "message", "exception"})


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        found: dict[str, object] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if current_request_id.get():
            found["request_id"] = current_request_id.get()
        found |= {key: value for key, value in _fields(record) if key not in OWN}
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=True, default=str)


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    """Gives the keys of a message with their values."""
    if not isinstance(record.args, tuple):
        return
    values = iter(record.args)
    for place in _PLACE.finditer(str(record.msg)):
        if place[0].endswith("%%"):
            continue
        value = next(values, None)
        if place[1]:
            plain = isinstance(value, str | int | float | bool) or value is None
            yield place[1], value if plain else str(value)
