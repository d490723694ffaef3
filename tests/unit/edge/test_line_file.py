"""Lines of the audit log: whole, and closed to others whatever the umask."""

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from kadeploy_edge.line_file import append


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def short_files() -> Iterator[None]:
    """Lets files grow to 100 bytes, as a disk with little room does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_the_file_is_closed_to_others_also_one_that_was_open(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "audit.log"
    append(path, "one\n")
    assert path.stat().st_mode & 0o777 == 0o640
    path.chmod(0o666)
    append(path, "two\n")
    assert path.stat().st_mode & 0o777 == 0o640
    assert "was open to others (0666)" in caplog.text
    assert path.read_text() == "one\ntwo\n"


@pytest.mark.usefixtures("short_files")
def test_a_line_that_finds_no_room_leaves_no_half_of_it(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    append(path, "x" * 79 + "\n")
    with pytest.raises(OSError, match="No space left"):
        append(path, "y" * 79 + "\n")
    append(path, "z" * 19 + "\n")
    assert path.read_text() == "x" * 79 + "\n" + "z" * 19 + "\n"


def test_what_is_no_file_is_left_as_it_is() -> None:
    append(Path("/dev/null"), "one\n")
    assert Path("/dev/null").stat().st_mode & 0o777 == 0o666
