"""The log as JSON: an object a record, whose keys are those of the message, whatever stands in it."""

import json
import logging
from contextvars import Context
from typing import Any

from kadeploy_edge.json_lines import JsonFormatter
from kadeploy_edge.request_id import current_request_id, request_id_of


def line(message: str, *arguments: object, error: Any = None) -> dict[str, Any]:
    record = logging.LogRecord("a.logger", logging.INFO, "file", 1, message, arguments, error)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_keys_of_a_message_are_keys_of_the_object() -> None:
    found = line("deployment=%s nodes=%d seconds=%.1f 100%% of %s: %s", "d-1", 3, 1.25, "them", "a=b level=CRITICAL")
    assert (found["deployment"], found["nodes"], found["seconds"]) == ("d-1", 3, 1.25)
    assert found["message"] == "deployment=d-1 nodes=3 seconds=1.2 100% of them: a=b level=CRITICAL"
    assert (found["level"], found["logger"]) == ("INFO", "a.logger")
    assert "a" not in found


def test_no_value_breaks_the_line_or_takes_the_place_of_a_field() -> None:
    found = line("node=%s level=%s", 'x"\n{"level": "ERROR"}\u2028', "ERROR")
    assert found["node"] == 'x"\n{"level": "ERROR"}\u2028'
    assert found["level"] == "INFO"


def test_an_exception_is_a_field() -> None:
    error = ValueError("two\nlines")
    found = line("broken", error=(type(error), error, None))
    assert "ValueError: two\nlines" in found["exception"]


def test_the_request_is_a_field() -> None:
    token = current_request_id.set("a1b2c3d4e5f6")
    try:
        assert line("text")["request_id"] == "a1b2c3d4e5f6"
    finally:
        current_request_id.reset(token)
    # Of a context of its own: a command that another test ran in this process has left its request.
    assert "request_id" not in Context().run(line, "text")


def test_only_what_can_stand_in_a_line_is_taken_for_a_request_id() -> None:
    assert request_id_of((("kadeploy-request-id", "job-4711.a"),)) == "job-4711.a"
    for odd in ("", "short", "with space", "line\nbreak", "x" * 65):
        made = request_id_of((("kadeploy-request-id", odd),))
        assert made != odd
        assert len(made) == 12
