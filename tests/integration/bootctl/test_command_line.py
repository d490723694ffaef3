"""`kadeploy-bootctl`: laying out, installing labels, checking; each refusal is one sentence."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kadeploy_bootctl import bootstrap
from kadeploy_bootctl.__main__ import main
from kadeploy_bootctl.app.ports import WrittenEntry
from kadeploy_bootctl.domain.boot_entry import BootEntry, BootNode
from kadeploy_bootctl.domain.boot_target import LabelTarget
from kadeploy_bootctl.render.loader_file import render
from kadeploy_bootctl.settings import Settings
from kadeploy_bootctl.tree.entry_store import TftpEntryStore
from kadeploy_edge.channel import open_channel

pytestmark = pytest.mark.integration

DEBIAN = (Path("/usr/lib/PXELINUX/pxelinux.0"), Path("/usr/lib/syslinux/modules/bios/ldlinux.c32"))


def test_init_lays_the_tree_out_and_may_be_repeated(bed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert bed.run("init") == 0
    assert "wrote PXEClient/pxelinux.0\n" in capsys.readouterr().out
    for place, loader in ((bed.first, "pxelinux.0"), (bed.second, "linux.0")):
        assert (place / loader).read_bytes() == b"pxelinux"
        assert (place / "images_grub" / "memdisk").read_bytes() == b"memdisk"
        assert "LOCALBOOT 0" in (place / "pxelinux.cfg" / "default").read_text()
        assert {path.name for path in place.glob("*.c32")} == {
            "ldlinux.c32",
            "libcom32.c32",
            "libutil.c32",
            "chain.c32",
            "mboot.c32",
        }
    (bed.first / "pxelinux.cfg" / "default").write_text("the administrator's own\n")
    (bed.first / "chain.c32").write_bytes(b"an old one")
    assert bed.run("init") == 0
    assert capsys.readouterr().out == f"wrote PXEClient/chain.c32\n{bed.tftp_root} is laid out\n"
    assert (bed.first / "pxelinux.cfg" / "default").read_text() == "the administrator's own\n"


def test_a_site_s_own_names_are_those_of_the_whole_tree(bed: Any) -> None:
    names = {
        "tftp_repository": "boot/cards/",
        "tftp_repository_intel": "boot/other",
        "pxe_rep": "nodes.cfg",
        "pxe_rep_intel": "machines.cfg/",
        "tftp_relative_path": "files",
    }
    own = "".join(f'{key} = "{value}"\n' for key, value in names.items())
    bed.settings_file.write_text(own + bed.settings_file.read_text())
    assert bed.run("init") == 0
    kernel, initrd = str(bed.directory / "kernel"), str(bed.directory / "initrd")
    assert bed.run("label", "install", "deploy", "--kernel", kernel, "--initrd", initrd) == 0
    runtime = bootstrap.open_runtime(Settings.load(bed.settings_file))
    assert isinstance(runtime.entries, TftpEntryStore)
    try:
        node = BootNode(name="node-11", mac_address="52:54:00:00:00:0b", ip_address="172.31.0.11")
        entry = BootEntry(node=node, target=LabelTarget(label="deploy"))
        text = render(entry, runtime.site)
        assert list(runtime.entries.put([WrittenEntry(entry=entry, text=text)])) == [None]
    finally:
        runtime.entries.close()
    assert "LINUX files/deploy-vmlinuz" in text
    written = {str(path.parent.relative_to(bed.tftp_root)) for path in bed.tftp_root.rglob("AC1F000B")}
    assert written == {"boot/cards/nodes.cfg", "boot/other/machines.cfg"}
    for place, loader in (("boot/cards", "pxelinux.0"), ("boot/other", "linux.0")):
        assert (bed.tftp_root / place / loader).exists()
        assert (bed.tftp_root / place / "files" / "deploy-vmlinuz").read_bytes() == b"deployment kernel"
    assert bed.run("check") == 1  # the label "absent" alone is not installed
    assert not (bed.tftp_root / "PXEClient").exists()


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_the_tftp_server_can_read_what_init_makes(bed: Any, umask: int) -> None:
    before = os.umask(umask)
    try:
        assert bed.run("init") == 0
    finally:
        os.umask(before)
    for path in bed.tftp_root.rglob("*"):
        if ".bootctl" not in path.parts:
            assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path
    assert bed.tftp_root.stat().st_mode & 0o777 == 0o755


def test_missing_loaders_are_named_with_their_packages_before_anything_is_written(
    bed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (bed.directory / "PXELINUX" / "pxelinux.0").unlink()
    (bed.directory / "syslinux" / "modules" / "bios" / "chain.c32").unlink()
    assert bed.run("init") == 1
    error = capsys.readouterr().err
    assert "apt-get install pxelinux syslinux-common" in error
    assert "chain.c32" in error
    assert not bed.tftp_root.exists()


def test_init_finds_the_loaders_of_debian(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "bootctl.toml"
    settings.write_text(f'tftp_root = "{tmp_path}/tftp"\n')
    assert main(["init", "--config", str(settings)]) == 0
    assert (tmp_path / "tftp" / "PXEClient" / "pxelinux.0").read_bytes() == DEBIAN[0].read_bytes()
    assert (tmp_path / "tftp" / "X86PC" / "linux" / "ldlinux.c32").read_bytes() == DEBIAN[1].read_bytes()
    assert main(["check", "--config", str(settings)]) == 1
    assert "label install deploy" in capsys.readouterr().out


def test_a_label_is_installed_in_both_repositories(laid_out: Any) -> None:
    for place in (laid_out.first, laid_out.second):
        assert (place / "images_grub" / "deploy-vmlinuz").read_bytes() == b"deployment kernel"
        assert (place / "images_grub" / "deploy-initrd").read_bytes() == b"deployment initrd"
        assert (place / "images_grub" / "deploy-vmlinuz").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["other", "--kernel", "kernel"], 2, "add [labels.other]"),
        (["deploy", "--kernel", "kernel"], 2, "needs --initrd"),
        (["absent", "--kernel", "kernel", "--initrd", "initrd"], 2, "has no initrd"),
        (["absent", "--kernel", "none"], 1, "does not exist"),
        (["absent", "--kernel", "."], 1, "is a directory"),
        (["absent", "--kernel", "empty"], 1, "is empty"),
    ],
)
def test_a_label_that_cannot_be_installed_is_one_sentence(
    laid_out: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: str
) -> None:
    (laid_out.directory / "empty").touch()
    files = {"kernel", "initrd", "none", ".", "empty"}
    given = [str(laid_out.directory / word) if word in files else word for word in arguments]
    assert laid_out.run("label", "install", *given) == status
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("kadeploy-bootctl: ")
    assert error.count("\n") == 1


def test_serving_a_tree_that_is_not_laid_out_says_what_to_do(bed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert bed.run("serve") == 1
    assert "run kadeploy-bootctl init" in capsys.readouterr().err


def test_check_tells_a_lost_loader_by_its_status(laid_out: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (laid_out.first / "images_grub" / "absent-vmlinuz").write_text("x")
    (laid_out.second / "images_grub" / "absent-vmlinuz").write_text("x")
    assert laid_out.run("check") == 0
    (laid_out.first / "mboot.c32").unlink()
    assert laid_out.run("check") == 1
    assert "missing_loader: PXEClient/mboot.c32: " in capsys.readouterr().out


def test_a_bad_settings_file_is_status_2(bed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    bed.settings_file.write_text("colour = 1\n")
    assert bed.run("check") == 2
    assert str(bed.settings_file) in capsys.readouterr().err


def test_the_process_serves_until_it_is_told_to_end(laid_out: Any) -> None:
    arguments = [sys.executable, "-m", "kadeploy_bootctl", "serve", "--config", str(laid_out.settings_file)]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    try:
        with open_channel(f"unix:{laid_out.directory}/s", caller="deployer") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service="kadeploy.bootctl.v1.BootService")
            assert stub.Check(request, timeout=20, wait_for_ready=True).status == health_pb2.HealthCheckResponse.SERVING
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait(10)
    assert process.returncode == 0
    assert "listening on unix:" in errors
    assert "Traceback" not in errors


@pytest.mark.usefixtures("stubs_for")
def test_a_second_process_on_the_same_tree_is_refused(laid_out: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert laid_out.run("serve") == 1
    assert "another kadeploy-bootctl serves" in capsys.readouterr().err
