"""Files of the deployer's host: only below the directories of the site, whatever is done to names meanwhile."""

import os
import socket
import stat
from pathlib import Path

import pytest

from kadeploy_deployer.adapters.confined_open import OpenBeneath
from kadeploy_deployer.adapters.image_directories import ImageDirectories
from kadeploy_deployer.ports import ImageError
from tests.integration.deployer_adapters.fetching import SECRET

pytestmark = pytest.mark.integration


def uri(path: Path) -> str:
    return f"file://{path}"


def words(directories: ImageDirectories, address: str) -> str:
    """Returns what is said of a file that is refused."""
    with pytest.raises(ImageError) as caught:
        os.close(directories.open(address))
    return str(caught.value)


def is_opened(directories: ImageDirectories, path: Path) -> bool:
    try:
        os.close(directories.open(uri(path)))
    except ImageError:
        return False
    return True


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow",
        "/no/such/file",
        "/etc",
        "{place}/../secret",
        "{place}/%2e%2e/secret",
        "{place}/out",
        "{place}/nothing",
        "{place}",
        "{place}/",
        "{place}-beside/image",
        "/proc/self/environ",
        "{place}/a%00b",
        "relative",
    ],
)
def test_outside_of_the_directories_all_files_are_refused_with_the_same_words(
    way: OpenBeneath, place: Path, path: str
) -> None:
    (place / "out").symlink_to(place.parent / "secret")
    (place / "nothing").symlink_to("/no/such/file")
    (place.parent / "images-beside").mkdir()
    (place.parent / "images-beside" / "image").write_bytes(SECRET)
    address = f"file://{path.format(place=place)}"
    told = words(ImageDirectories([place], open_file=way), address)
    assert told == f"{address} lies outside of the directories that images may be in: {place}"


def test_without_a_directory_no_file_is_opened(place: Path) -> None:
    told = words(ImageDirectories([]), uri(place / "alice" / "image"))
    assert told.endswith("lies outside of the directories that images may be in: none")


def test_a_directory_that_is_a_link_may_be_written_by_either_name(way: OpenBeneath, place: Path) -> None:
    link = place.parent / "link"
    link.symlink_to(place)
    directories = ImageDirectories([link], open_file=way)
    assert is_opened(directories, link / "alice" / "image")
    assert is_opened(directories, place / "alice" / "image")


def test_only_regular_files_are_opened(way: OpenBeneath, place: Path) -> None:
    os.mkfifo(place / "pipe")
    directories = ImageDirectories([place], open_file=way)
    assert words(directories, uri(place / "pipe")) == f"{uri(place / 'pipe')} is no regular file"
    assert words(directories, uri(place / "alice")) == f"{uri(place / 'alice')} is no regular file"
    devices = ImageDirectories([Path("/dev")], open_file=way)
    assert words(devices, "file:///dev/null") == "file:///dev/null is no regular file"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place / "socket"))
        assert "cannot be read on the deployer's host" in words(directories, uri(place / "socket"))


def test_a_file_that_is_not_there_is_told_where_files_may_be(way: OpenBeneath, place: Path) -> None:
    told = words(ImageDirectories([place], open_file=way), uri(place / "absent"))
    assert told == f"{uri(place / 'absent')} cannot be read on the deployer's host: No such file or directory"


@pytest.mark.parametrize(
    ("mode", "own", "in_group", "good"),
    [
        (0o644, False, False, True),
        (0o604, False, False, True),
        (0o600, True, False, True),
        (0o640, False, True, True),
        (0o640, False, False, False),
        (0o600, False, True, False),
        (0o600, False, False, False),
    ],
)
def test_a_file_has_to_be_for_everybody_or_of_the_deployer_or_of_a_named_group(
    place: Path, mode: int, own: bool, in_group: bool, good: bool
) -> None:
    image = place / "alice" / "image"
    image.chmod(mode)
    status = image.stat()
    directories = ImageDirectories(
        [place],
        groups=frozenset({status.st_gid}) if in_group else frozenset(),
        account=lambda: status.st_uid if own else status.st_uid + 1,
    )
    if os.geteuid() == 0 or mode & stat.S_IRUSR:
        assert is_opened(directories, image) is good
    if not good:
        assert "is not for everybody: make it readable for others" in words(directories, uri(image))


def test_a_second_name_of_a_file_that_is_not_for_everybody_is_refused(place: Path) -> None:
    secret = place.parent / "secret"
    secret.chmod(0o600)
    (place / "mine").hardlink_to(secret)
    assert words(ImageDirectories([place]), uri(place / "mine")).endswith("has 2 names; it may have one")
    secret.chmod(0o644)
    assert is_opened(ImageDirectories([place]), place / "mine")
