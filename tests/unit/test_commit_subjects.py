"""The subjects of commits: the hook, the check of `make lint`, and how the hook gets into a clone."""

import os
import subprocess
from pathlib import Path

import pytest

HOOKS = Path(__file__).parents[2] / ".githooks"
FITS, TOO_LONG = "é" * 72, "é" * 73
NEW, OLD = "2027-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
IDENTITY = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
}


def run(*command: str | Path, directory: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    # Inside of a hook git names its own repository by variables.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        command,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**inherited, **IDENTITY, **variables},
    )


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    directory = tmp_path / "clone"
    directory.mkdir()
    assert run("git", "init", "-q", directory=directory).returncode == 0
    return directory


def commit(clone: Path, subject: str, *, time: str = NEW) -> "subprocess.CompletedProcess[str]":
    command = ("git", "commit", "-q", "--allow-empty", "-m", subject)
    return run(*command, directory=clone, GIT_COMMITTER_DATE=time, GIT_AUTHOR_DATE=time)


@pytest.mark.parametrize(("subject", "status"), [(FITS, 0), (TOO_LONG, 1), ("short\n\n" + TOO_LONG, 0)])
def test_the_hook_counts_characters_of_the_subject(tmp_path: Path, subject: str, status: int) -> None:
    message = tmp_path / "message"
    message.write_text(f"# a comment\n\n{subject}\n")
    done = run(HOOKS / "commit-msg", message, directory=tmp_path)
    assert done.returncode == status
    assert ("73 characters; 72 fit" in done.stderr) == bool(status)


def test_the_check_names_long_subjects_but_for_those_from_before_the_rule(clone: Path) -> None:
    assert commit(clone, "old " + TOO_LONG, time=OLD).returncode == 0
    assert commit(clone, FITS).returncode == 0
    assert run(HOOKS / "check-subjects", directory=clone).returncode == 0
    assert commit(clone, TOO_LONG).returncode == 0
    done = run(HOOKS / "check-subjects", directory=clone)
    assert (done.returncode, done.stderr.count("72 fit")) == (1, 1)


def test_the_hook_is_called_in_a_clone_but_never_in_place_of_another(clone: Path) -> None:
    (clone / ".githooks").symlink_to(HOOKS)
    assert run(HOOKS / "install", directory=clone).returncode == 0
    assert commit(clone, FITS).returncode == 0
    assert "72 fit" in commit(clone, TOO_LONG).stderr
    run("git", "config", "--unset", "core.hooksPath", directory=clone)
    (clone / ".git" / "hooks").mkdir(exist_ok=True)
    (clone / ".git" / "hooks" / "pre-commit").write_text("#!/bin/sh\n")
    done = run(HOOKS / "install", directory=clone)
    assert (done.returncode, "hooks of its own" in done.stderr) == (0, True)
    assert run("git", "config", "--get", "core.hooksPath", directory=clone).stdout == ""


def test_an_unpacked_archive_has_neither_hooks_nor_commits(tmp_path: Path) -> None:
    for script in ("install", "check-subjects"):
        done = run(HOOKS / script, directory=tmp_path, GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
        assert (done.returncode, done.stderr) == (0, "")
