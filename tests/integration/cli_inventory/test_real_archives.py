"""kaarchive and kacreateenv: real images of a system, recorded on a real inventory."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from kadeploy_cli.environments import archiving
from kadeploy_cli.environments.archive_commands import kaarchive, kacreateenv
from kadeploy_cli.ka import ka

pytestmark = pytest.mark.integration

Run = Callable[..., Result]


@pytest.fixture
def system(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for directory in ("boot", "proc", "sys/kernel", "run", "home/alice", "home/bob/cache", "var/log", "lost+found"):
        (root / directory).mkdir(parents=True)
    for file in ("proc/1", "sys/kernel/x", "run/pid", "home/alice/a", "home/bob/cache/b", "var/log/x.log", "boot/k"):
        (root / file).write_text(file)
    (root / "vmlinuz").symlink_to("boot/k")
    os.link(root / "boot/k", root / "boot/linked")
    with (root / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 30)
    (root / "boot/k").chmod(0o4750)
    return root


def members(image: Path) -> list[str]:
    done = subprocess.run(["tar", "--list", f"--file={image}"], capture_output=True, check=True, text=True, timeout=60)
    return sorted(line.rstrip("/") for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ([], "output_image.tar"),
        (["-z", "-i", "debian"], "debian.tar.gz"),
        (["--zstd", "-i", "debian.tar.zst"], "debian.tar.zst"),
    ],
)
def test_kaarchive_makes_an_image_without_what_the_kernel_fills(
    run: Run, system: Path, tmp_path: Path, options: list[str], name: str
) -> None:
    exclude = tmp_path / "exclude"
    exclude.write_text("/home/alice\n*.log\n\ncache/*\n")
    arguments = ["--root-directory", str(system), "-X", str(exclude), "--output-directory", str(tmp_path), *options]
    result = run(kaarchive, arguments)
    assert result.exit_code == 0, result.output
    image = tmp_path / name
    expected = [".", "./boot", "./boot/k", "./boot/linked", "./home", "./home/bob", "./home/bob/cache", "./proc"]
    assert members(image) == [*expected, "./run", "./sparse", "./sys", "./var", "./var/log", "./vmlinuz"]
    # The hole of the sparse file is no zeros to read.
    assert image.stat().st_size < 1 << 20
    assert [each.name for each in tmp_path.glob(".*")] == []


def test_owners_modes_and_attributes_come_back(run: Run, system: Path, tmp_path: Path) -> None:
    try:
        os.setxattr(system / "boot/k", "user.kept", b"yes")
    except OSError:
        pytest.skip("the file system of the tests keeps no attributes")
    if os.getuid() == 0:
        os.chown(system / "boot/k", 12345, 54321)
        (system / "boot/k").chmod(0o4750)
    arguments = ["--root-directory", str(system), "--output-directory", str(tmp_path), "--zstd"]
    assert run(kaarchive, arguments).exit_code == 0
    copy = tmp_path / "copy"
    copy.mkdir()
    command = ["tar", "--extract", f"--file={tmp_path}/output_image.tar.zst", f"--directory={copy}", "--numeric-owner"]
    subprocess.run([*command, "--xattrs", "--xattrs-include=*", "--preserve-permissions"], check=True, timeout=60)
    before, after = (system / "boot/k").stat(), (copy / "boot/k").stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert os.getxattr(copy / "boot/k", "user.kept") == b"yes"
    assert (copy / "boot/linked").stat().st_ino == after.st_ino


def test_an_image_inside_of_its_own_system_does_not_hold_itself(run: Run, system: Path) -> None:
    arguments = ["--root-directory", str(system), "--output-directory", str(system / "home")]
    for _ in range(2):
        assert run(kaarchive, arguments).exit_code == 0
    assert not [name for name in members(system / "home/output_image.tar") if "output_image" in name]


def test_a_failure_leaves_the_older_image_and_nothing_else(
    run: Run, system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "output_image.tar.gz"
    old.write_bytes(b"old")
    broken = archiving.Compressor(suffix=".tar.gz", command=("false",))
    monkeypatch.setitem(archiving.COMPRESSORS, "gzip", broken)
    result = run(kaarchive, ["--root-directory", str(system), "--output-directory", str(tmp_path), "-z"])
    assert result.exit_code == 1
    assert "the image was not made" in result.stderr
    assert old.read_bytes() == b"old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["output_image.tar.gz", "root"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--root-directory", "/absent"], "--root-directory /absent is not a directory"),
        (["--output-directory", "/absent"], "--output-directory /absent is not a directory"),
        (["-z", "--zstd"], "exclude each other"),
        (["-i", "a/b"], "is not a file name"),
        (["-i", "x.tar.gz"], "names another compression than .tar"),
        (["-X", "/absent"], "/absent cannot be read"),
    ],
)
def test_a_wish_that_cannot_be_fulfilled_is_told_before_any_work(
    run: Run, tmp_path: Path, options: list[str], expected: str
) -> None:
    result = run(kaarchive, ["--output-directory", str(tmp_path), *options])
    assert result.exit_code == 2
    assert expected in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_mounted_inside_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    mounts = [("/", "ext4"), ("/proc", "proc"), ("/boot", "ext4"), ("/srv/a\\040b", "nfs"), ("/dev", "devtmpfs")]
    lines = [f"1 2 8:1 / {place} rw shared:1 - {kind} /dev/x rw" for place, kind in mounts]
    table.write_text("\n".join(lines))
    monkeypatch.setattr(archiving, "MOUNTS", table)
    assert archiving.left_out(Path("/")) == ["/boot", "/srv/a b"]
    assert archiving.left_out(Path("/srv")) == ["/srv/a b"]


def test_kacreateenv_makes_the_image_and_records_it(run: Run, system: Path, tmp_path: Path) -> None:
    arguments = ["--root-directory", str(system), "--output-directory", str(tmp_path), "-z", "-i", "debian"]
    described = ["-n", "debian", "-v", "2", "-k", "/vmlinuz", "--initrdpath", "/initrd", "-fs", "xfs"]
    result = run(kacreateenv, [*arguments, *described])
    assert result.exit_code == 0, result.output
    found = json.loads(run(ka, ["environment", "show", "debian", "-o", "json"]).stdout)
    assert found["image"]["uri"] == f"file://{tmp_path}/debian.tar.gz"
    assert found["image"]["size_bytes"] == (tmp_path / "debian.tar.gz").stat().st_size
    assert (found["version"], found["file_system"], found["boot"]["initrd_path"]) == (2, "xfs", "/initrd")


@pytest.mark.parametrize("image", ["", "image: {file: /srv/other.tar.xz, kind: tar, compression: xz}\n"])
def test_kacreateenv_takes_what_the_image_is_not_from_yaml(run: Run, system: Path, tmp_path: Path, image: str) -> None:
    description = tmp_path / "debian.yaml"
    description.write_text(
        f"name: debian\nversion: 3\nos: linux\nfilesystem: ext4\n{image}boot: {{kernel: /vmlinuz}}\n"
    )
    arguments = ["--root-directory", str(system), "--output-directory", str(tmp_path), "--zstd", "-i", "made"]
    result = run(kacreateenv, [*arguments, "-fe", str(description)])
    assert result.exit_code == 0, result.output
    found = json.loads(run(ka, ["environment", "show", "debian", "-o", "json"]).stdout)
    assert found["image"]["uri"] == f"file://{tmp_path}/made.tar.zst"
    assert (found["image"]["compression"], found["version"]) == ("zstd", 3)
    made = (tmp_path / "made.tar.zst").stat().st_ino
    assert run(kacreateenv, [*arguments, "-fe", str(description)]).exit_code == 5
    description.write_text(description.read_text().replace("os: linux", "os: plan9"))
    refused = run(kacreateenv, [*arguments, "-fe", str(description)])
    assert (refused.exit_code, "debian.yaml, line 3: os" in refused.stderr) == (2, True), refused.stderr
    assert (tmp_path / "made.tar.zst").stat().st_ino == made


def test_kacreateenv_of_a_recorded_version_is_refused_before_the_image_is_touched(
    run: Run, system: Path, tmp_path: Path
) -> None:
    arguments = ["--root-directory", str(system), "--output-directory", str(tmp_path), "-n", "x", "-k", "/vmlinuz"]
    assert run(kacreateenv, arguments).exit_code == 0
    before = (tmp_path / "output_image.tar").stat().st_ino
    result = run(kacreateenv, arguments)
    assert result.exit_code == 5
    assert "x version 1 of root is recorded with other content" in result.stderr
    assert (tmp_path / "output_image.tar").stat().st_ino == before
    assert run(kacreateenv, [*arguments, "-v", "2", "-k", ""]).exit_code == 2
    assert (tmp_path / "output_image.tar").stat().st_ino == before


def test_sigterm_ends_the_programs_and_leaves_nothing_behind(system: Path, tmp_path: Path) -> None:
    target = tmp_path / "images"
    target.mkdir()
    code = (
        "from kadeploy_cli.environments import archiving; from kadeploy_cli.__main__ import kaarchive; "
        "archiving.COMPRESSORS['gzip'] = archiving.Compressor(suffix='.tar.gz', command=('sleep', '60')); kaarchive()"
    )
    arguments = ["--root-directory", str(system), "--output-directory", str(target), "-z"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 20
    # The compressor runs when it has a child: a signal before that is another scenario.
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while len(children.read_text().split()) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "Traceback" not in out
    assert list(target.iterdir()) == []
