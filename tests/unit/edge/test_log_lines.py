"""The log of a service: one line for each record, whatever it holds."""

import io
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy_edge.log_lines import TRACEBACK_MARK, LineFormatter, escaped

FORGED = 'time=2030-01-01 00:00:00,000 level=INFO logger=audit {"caller": "user:root", "method": "forged"}'
LINE_ENDS = ("\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
RECORD = re.compile(r"time=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} level=[A-Z]+ logger=\S+ ")
SERVICES = ("inventory", "deployer", "bootctl")


def logged(log: Callable[[logging.Logger], None]) -> str:
    """Returns what one use of a logger leaves in a log."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    logger = logging.Logger("test")  # noqa: LOG001 - it ends with the test
    logger.addHandler(handler)
    log(logger)
    return stream.getvalue()


@pytest.mark.parametrize("end", LINE_ENDS)
def test_a_text_of_a_caller_begins_no_line(end: str) -> None:
    text = logged(lambda logger: logger.warning("%s is not a node set", f"x{end}{FORGED}"))
    assert len(text.splitlines()) == 1
    assert text.endswith("\n")


@given(st.text())
def test_any_text_is_one_printable_line(text: str) -> None:
    line = logged(lambda logger: logger.info("nodes=%s", text))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line
    assert line.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\u2028\u202e\ud800", "\\u2028\\u202e\\ud800"),
        ("Zürich 日本 \N{PILE OF POO}", "Zürich 日本 \N{PILE OF POO}"),
        ("C:\\new", "C:\\new"),
    ],
)
def test_what_can_be_read_stays_as_it_is_and_the_rest_is_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown


def int_of(text: str) -> int:
    raise ValueError(text)


def test_a_traceback_can_be_read_and_forges_no_record() -> None:
    def fail(logger: logging.Logger) -> None:
        try:
            int_of(f"x\n{FORGED}\r\x1b[1A\u2028{FORGED}")
        except ValueError:
            logger.exception("unforeseen error", stack_info=True)

    first, *rest = logged(fail).splitlines()
    assert RECORD.match(first)
    assert all(line.startswith(TRACEBACK_MARK) for line in rest)
    assert f"{TRACEBACK_MARK}Traceback (most recent call last):" in rest
    assert any("test_log_lines.py" in line for line in rest)
    assert f"{TRACEBACK_MARK}ValueError: x" in rest
    assert f"{TRACEBACK_MARK}{FORGED}\\r\\x1b[1A\\u2028{FORGED}" in rest


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_logs_one_line_for_each_record(service: str, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[database]\ndeploy = "{tmp_path}/a"\ndeploy_right = "{tmp_path}/b"\n')
    if service != "inventory":
        settings = Path(f"services/{service}/{service}.toml.sample")
    program = (
        "import logging, sys\n"
        f"from kadeploy_{service} import __main__ as program\n"
        "def serve(settings, options):\n"
        "    try:\n"
        "        raise KeyError(sys.argv[1])\n"
        "    except KeyError:\n"
        "        logging.getLogger('any').exception('said %s', sys.argv[1])\n"
        "    return 0\n"
        "program._serve = serve\n"
        f"sys.exit(program.main(['serve', '--config', {str(settings)!r}]))\n"
    )
    text = f"x\n{FORGED}\u2028{FORGED}\r"
    done = subprocess.run([sys.executable, "-c", program, text], capture_output=True, text=True, timeout=60, check=True)
    first, *rest = done.stderr.splitlines()
    assert RECORD.match(first)
    assert first.endswith(f"said x\\n{FORGED}\\u2028{FORGED}\\r")
    assert rest
    assert all(line.startswith(TRACEBACK_MARK) for line in rest)
