"""Environments of container images, recorded on a real inventory; what the layers come to is what a node would get."""

import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from kadeploy_cli.environments import oci_image, oci_rootfs
from kadeploy_cli.environments.kaenv import kaenv
from kadeploy_cli.ka import ka
from kadeploy_cli.terminal.failures import UsageFailure
from tests.fakes.oci_images import docker_archive, layer, layout

pytestmark = pytest.mark.integration

Run = Callable[..., Result]
BASE = layer(
    ("sbin", "usr/sbin"),
    ("usr/sbin", None),
    ("usr/sbin/init", b"init"),
    ("usr/sbin/sshd", b"sshd"),
    ("etc/ssh", None),
    ("etc/motd", b"first"),
    ("var/cache/apt/a", b"a"),
    ("var/cache/apt/b", b"b"),
    ("opt/tool", None),
    ("opt/tool/old", b"old"),
    ("bin/one", b"one"),
    hard=[("bin/two", "bin/one")],
)
MIDDLE = layer(
    ("boot/vmlinuz-6.1", b"kernel"),
    ("boot/initrd.img-6.1", b"initrd"),
    ("vmlinuz", "boot/vmlinuz-6.1"),
    ("var/cache/apt/.wh.a", b""),
    ("opt/tool/.wh..wh..opq", b""),
    ("opt/tool/new", b"new"),
    ("bin/one", b"another"),
)
TOP = layer(("etc/motd", b"last"), ("var/.wh.cache", b""), (".dockerenv", b""))


def content(path: Path) -> dict[str, bytes | str]:
    """Returns the files of an image by name; of links, what they lead to."""
    unpacked = subprocess.run(("zstd", "-dcq", str(path)), capture_output=True, check=True).stdout
    (path.parent / "plain.tar").write_bytes(unpacked)
    found: dict[str, bytes | str] = {}
    with tarfile.open(path.parent / "plain.tar") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() or member.islnk() else None
            found[member.name] = file.read() if file else member.linkname
    return found


@pytest.mark.parametrize("form", ["layout", "docker"])
def test_layers_are_joined_with_their_whiteouts_and_recorded(run: Run, tmp_path: Path, form: str) -> None:
    layers = [BASE, MIDDLE, TOP]
    image = layout(tmp_path / "image", layers) if form == "layout" else docker_archive(tmp_path / "image.tar", layers)
    out = tmp_path / "out"
    out.mkdir()
    result = run(kaenv, ["from-oci", str(image), "-n", "mine", "-d", str(out)])
    assert result.exit_code == 0, result.output
    found = content(out / "mine.tar.zst")
    assert found["etc/motd"] == b"last"
    assert "var/cache/apt/a" not in found
    assert "var/cache/apt/b" not in found
    assert ("opt/tool/old" in found, found["opt/tool/new"]) == (False, b"new")
    # A second name keeps the content that it had when its first name was replaced.
    assert (found["bin/one"], found["bin/two"]) == (b"another", b"one")
    assert ".dockerenv" not in found
    assert not [name for name in found if ".wh." in name]
    recorded = json.loads(run(ka, ["environment", "show", "mine", "-o", "json"]).stdout)
    assert (recorded["boot"]["kernel_path"], recorded["boot"]["initrd_path"]) == ("/vmlinuz", "/boot/initrd.img-6.1")
    assert (recorded["image"]["kind"], recorded["image"]["compression"]) == ("tar", "zstd")


def test_the_description_beside_the_image_records_it_again(run: Run, tmp_path: Path) -> None:
    image = layout(tmp_path / "image", [BASE, MIDDLE])
    made = run(ka, ["environment", "from-oci", str(image), "-n", "mine", "-d", str(tmp_path), "--no-record"])
    assert made.exit_code == 0, made.output
    assert run(ka, ["environment", "show", "mine"]).exit_code == 4
    assert run(kaenv, ["-a", str(tmp_path / "mine.yaml")]).exit_code == 0


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([BASE], "has no kernel"),
        ([layer(("vmlinuz", b"k"), ("usr/sbin/sshd", b"s"))], "has no init"),
        ([layer(("vmlinuz", b"k"), ("sbin/init", b"i"))], "has no ssh server"),
        ([BASE, MIDDLE, layer(("../../etc/passwd", b"x"))], "leads outside"),
    ],
)
def test_what_could_not_be_deployed_is_refused_before_anything_is_made(
    run: Run, tmp_path: Path, layers: list[bytes], words: str
) -> None:
    image = layout(tmp_path / "image", layers)
    result = run(kaenv, ["from-oci", str(image), "-n", "mine", "-d", str(tmp_path)])
    assert result.exit_code == 2
    assert words in result.stderr
    assert not list(tmp_path.glob("*mine*"))


def test_a_kernel_is_laid_over_an_image_that_has_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "kernel.tar").write_bytes(MIDDLE)
    image = layout(tmp_path / "image", [BASE])
    words = ["from-oci", str(image), "-n", "mine", "-d", str(tmp_path), "--add", str(tmp_path / "kernel.tar")]
    assert run(kaenv, words).exit_code == 0
    assert content(tmp_path / "mine.tar.zst")["boot/vmlinuz-6.1"] == b"kernel"


def refused(image: Path) -> str:
    with pytest.raises(UsageFailure) as failure, oci_image.layers_of(str(image)) as layers:
        oci_rootfs.read(layers)
    return failure.value.message


def test_a_blob_with_other_content_is_refused(tmp_path: Path) -> None:
    image = layout(tmp_path / "image", [BASE, MIDDLE])
    spoilt = max((image / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    spoilt.write_bytes(spoilt.read_bytes() + b"x")
    assert "other content than its name says" in refused(image)


def test_an_image_of_another_architecture_is_refused(tmp_path: Path) -> None:
    assert "has nothing for" in refused(layout(tmp_path / "image", [BASE], architecture="s390x"))


@pytest.mark.parametrize("digest", ["sha256:../../../etc/passwd", "md5:00", "sha256:" + "A" * 64])
def test_a_digest_is_never_a_path(tmp_path: Path, digest: str) -> None:
    image = layout(tmp_path / "image", [BASE])
    index: dict[str, Any] = json.loads((image / "index.json").read_text())
    index["manifests"][0]["digest"] = digest
    (image / "index.json").write_text(json.dumps(index))
    assert "no SHA-256 digest" in refused(image)


def test_a_layer_outside_of_the_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside.tar").write_bytes(BASE)
    image = tmp_path / "image"
    image.mkdir()
    (image / "manifest.json").write_text(json.dumps([{"Layers": ["../outside.tar"]}]))
    assert "is not in the archive" in refused(image)


def test_something_else_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    assert "is no container image" in refused(tmp_path / "x")
    (tmp_path / "y").write_text("text")
    assert "cannot be read as the archive of an image" in refused(tmp_path / "y")
