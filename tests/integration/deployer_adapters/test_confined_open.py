"""A file below a directory, opened by the kernel or step by step: nothing from outside, whatever is done to names."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kadeploy_deployer.adapters import confined_open
from kadeploy_deployer.adapters.confined_open import OpenBeneath, open_directory, open_step_by_step
from tests.integration.deployer_adapters.fetching import SECRET

pytestmark = pytest.mark.integration

SWAPPING_SECONDS = 2.0


def content(way: OpenBeneath, place: Path, path: str) -> bytes:
    """Returns the first bytes of what is opened below a directory."""
    directory = open_directory(place)
    try:
        descriptor = way(directory, path)
    finally:
        os.close(directory)
    try:
        return os.read(descriptor, 100)
    finally:
        os.close(descriptor)


def refusal(way: OpenBeneath, place: Path, path: str) -> int | None:
    """Returns the number of the error with which opening ends."""
    with pytest.raises(OSError) as caught:
        content(way, place, path)
    return caught.value.errno


@pytest.mark.parametrize("path", ["alice/image", "alice//./image", "alice/../alice/image"])
def test_a_file_below_is_opened(way: OpenBeneath, place: Path, path: str) -> None:
    assert content(way, place, path) == b"image"


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("alice/latest", "image"),
        ("latest", "alice/image"),
        ("alice/around", "../alice/image"),
        ("bob", "alice"),
    ],
)
def test_links_that_stay_below_are_followed(way: OpenBeneath, place: Path, link: str, target: str) -> None:
    (place / link).symlink_to(target)
    (place / "again").symlink_to(link)
    name = "again/image" if link == "bob" else "again"
    assert content(way, place, name) == b"image"


@pytest.mark.parametrize(
    ("link", "target", "path"),
    [
        ("out", "../secret", "out"),
        ("out", "{outside}/secret", "out"),
        ("alice/out", "../../secret", "alice/out"),
        ("alice/out", "..", "alice/out/../secret"),
        ("out", "..", "out/secret"),
        ("out", "{outside}/images/alice/image", "out"),
        ("out", "../no/such/file", "out"),
        ("out", "/no/such/file", "out"),
        ("out", "/proc/self/root", "out/etc/passwd"),
    ],
)
def test_what_leads_outside_is_refused_in_one_way_whatever_is_there(
    way: OpenBeneath, place: Path, link: str, target: str, path: str
) -> None:
    (place / link).symlink_to(target.format(outside=place.parent))
    assert refusal(way, place, path) == errno.EXDEV


def test_dots_do_not_lead_outside_either(way: OpenBeneath, place: Path) -> None:
    assert refusal(way, place, "../secret") == errno.EXDEV
    assert refusal(way, place, "alice/../../secret") == errno.EXDEV


def test_links_in_a_circle_end(way: OpenBeneath, place: Path) -> None:
    (place / "one").symlink_to("two")
    (place / "two").symlink_to("one")
    assert refusal(way, place, "one") == errno.ELOOP


@pytest.mark.parametrize("path", ["absent", "absent/image", "alice/image/below"])
def test_what_is_not_there_is_the_system_s_error(way: OpenBeneath, place: Path, path: str) -> None:
    assert refusal(way, place, path) in {errno.ENOENT, errno.ENOTDIR}


def test_a_pipe_holds_nobody_up(way: OpenBeneath, place: Path) -> None:
    os.mkfifo(place / "pipe")
    began = time.monotonic()
    assert content(way, place, "pipe") == b""
    assert time.monotonic() - began < 5


def test_no_descriptor_is_left_open(way: OpenBeneath, place: Path) -> None:
    (place / "out").symlink_to("../secret")
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - these are no files
    content(way, place, "alice/../alice/image")
    for path in ("out", "absent", "../secret"):
        refusal(way, place, path)
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@contextmanager
def swapping(work: Callable[[], None]) -> Iterator[None]:
    """Does something again and again meanwhile."""
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            work()

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_name_that_is_swapped_for_a_link_meanwhile_gives_nothing_from_outside(way: OpenBeneath, place: Path) -> None:
    mine = place / "alice"

    def swap() -> None:
        (mine / "a").write_bytes(b"harmless")
        (mine / "a").rename(mine / "x")
        (mine / "b").symlink_to(place.parent / "secret")
        (mine / "b").rename(mine / "x")

    swap()
    seen: set[bytes] = set()
    end = time.monotonic() + SWAPPING_SECONDS
    with swapping(swap):
        while time.monotonic() < end:
            try:
                seen.add(content(way, place, "alice/x"))
            except OSError as error:
                seen.add(errno.errorcode[error.errno or 0].encode())
    assert seen <= {b"harmless", b"", b"EXDEV", b"ELOOP", b"EAGAIN"}
    assert {b"harmless", b"EXDEV"} <= seen


def test_a_directory_that_is_moved_out_meanwhile_gives_nothing_from_outside(way: OpenBeneath, place: Path) -> None:
    (place / "deep" / "er").mkdir(parents=True)
    outside = place.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(SECRET)
    (place.parent / "secret").write_bytes(SECRET)

    def swap() -> None:
        (place / "deep" / "er").rename(outside / "er")
        (outside / "er").rename(place / "deep" / "er")

    seen: set[bytes] = set()
    end = time.monotonic() + SWAPPING_SECONDS
    with swapping(swap):
        while time.monotonic() < end:
            try:
                seen.add(content(way, place, "deep/er/../secret"))
            except OSError:
                continue
    assert SECRET not in seen


def test_a_kernel_that_refuses_the_call_is_done_without(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    def refused(*_: object) -> int:
        raise OSError(errno.ENOSYS, "no such call")

    confined_open._best_way.cache_clear()
    monkeypatch.setattr(confined_open, "open_by_kernel", refused)
    try:
        assert content(confined_open.open_beneath, place, "alice/image") == b"image"
        assert confined_open._best_way() is open_step_by_step
    finally:
        confined_open._best_way.cache_clear()
