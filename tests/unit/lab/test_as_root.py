"""lab/as-root as an ordinary user: through sudo where that works, and one sentence where it does not."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

AS_ROOT = Path(__file__).parents[3] / "lab" / "as-root"
NOBODY = 65534


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that an ordinary user reaches too, with programs that stand before those of the host."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        home.chmod(0o755)
        (home / "lab").mkdir()
        shutil.copy(AS_ROOT, home / "lab")
        (home / "bin").mkdir()
        # Enough of a host for the script itself, and no sudo unless the test brings one.
        for program in ("bash", "env", "id", "dirname"):
            found = shutil.which(program)
            assert found is not None
            (home / "bin" / program).symlink_to(found)
        yield home


def bring_sudo(place: Path, script: str) -> None:
    sudo = place / "bin" / "sudo"
    sudo.write_text(f"#!{shutil.which('bash')}\n{script}\n")
    sudo.chmod(0o755)


def as_ordinary_user(place: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    somebody = NOBODY if os.geteuid() == 0 else None
    return subprocess.run(
        [str(place / "lab" / "as-root"), *command],
        cwd=place,
        env={"PATH": str(place / "bin")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        user=somebody,
        group=somebody,
        extra_groups=None if somebody is None else [],
    )


def test_without_sudo_one_sentence_says_what_to_do(place: Path) -> None:
    done = as_ordinary_user(place, "true")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "run make as root, or install sudo" in done.stderr


def test_where_sudo_refuses_nothing_is_run_and_the_last_sentence_says_what_to_do(place: Path) -> None:
    bring_sudo(place, "echo 'sudo: a password is required' >&2; exit 1")
    done = as_ordinary_user(place, "echo", "done")
    assert (done.returncode, done.stdout) == (1, "")
    assert "run make as root, or as a user whom sudo lets" in done.stderr.splitlines()[-1]


def test_through_sudo_the_status_of_the_command_is_kept(place: Path) -> None:
    # Notes what it is asked to do, and does it but for what gives files back at the end.
    bring_sudo(
        place,
        'while [[ $1 == --* ]]; do shift; done; [[ $1 == true ]] && exit; [[ $1 == find ]] || exec "$@"; echo "$@"',
    )
    done = as_ordinary_user(place, "bash", "-c", "echo done; exit 7")
    first, last = done.stdout.splitlines()
    assert (done.returncode, first) == (7, "done"), done.stderr
    assert last.startswith(f"find {place} -xdev -uid 0 -exec chown")
