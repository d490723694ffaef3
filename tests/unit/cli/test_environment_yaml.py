"""Descriptions of Kadeploy 3 as people write them: what they come to, and that all of their faults are said at once."""

from pathlib import Path

import pytest

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.descriptions import environment_yaml
from kadeploy_cli.descriptions.problem_list import SeveralProblems
from kadeploy_cli.environments.image_files import Kind
from kadeploy_cli.terminal.failures import UsageFailure

OF_37 = """\
---
name: debian-min
alias: debian-x64-min
arch: x86_64
version: 2022010511
visibility: public
destructive: true
os: linux
image:
  file: server:///srv/images/debian-min.tar.zst
  kind: tar
  compression: zstd
postinstalls:
- archive: server:///srv/postinstalls/postinstall.tgz
  compression: gzip
  script: postinstall --net debian --note "two words"
boot:
  kernel_params: "modprobe.blacklist=nouveau"
  kernel: /vmlinuz
  initrd: /initrd.img
filesystem: ext4
partition_type: 131
multipart: false
custom_variables:
  BOOTLOADER_NO_GRUB_FROM_DEST: '1'
options:
  kexec: false
  trust_previous_env: false
  tuned: yes
"""
OF_30 = """\
###
name : lenny-x64-base
version : 2
description : https://www.example.org/index.php/Lenny
author : bogus@example.org
tarball : http://www.example.org/images/lenny.tgz|tgz
postinstall : server:///srv/post.tgz|tgz|traitement.ash /rambin,server:///srv/more.tbz2|tbz2
kernel : /boot/vmlinuz-2.6.26
initrd : /boot/initrd.img-2.6.26
fdisktype : 83
filesystem : ext3
environment_kind : linux
visibility : shared
demolishing_env : 1
"""
NO_SCRIPT = """\
name: noscript
os: linux
image: {file: /srv/images/debian.tgz, kind: tar, compression: gzip}
preinstall: {archive: /srv/images/pre.tgz}
postinstalls:
- archive: /srv/images/files.tgz
  compression: gzip
boot: {kernel: /vmlinuz, initrd: /initrd.img}
filesystem: ext4
"""
FAULTS = """\
name: faulty
colour: blue
version: 0
visibility: everybody
os: plan9
image: {file: x, kind: fsa, compression: lzma}
postinstalls:
- {script: run}
- {archive: a.tgz, script: "un'ended"}
custom_variables: [a]
boot: {kernel: /k, partition: 3}
multipart: true
"""


def image(name: str, _directory: Path, kind: Kind | None) -> environment_pb2.Image:
    assert kind is not None
    return environment_pb2.Image(uri=name, kind=kind[0], compression=kind[1], size_bytes=1)


def archive(
    name: str, _directory: Path, script: str, compression: "environment_pb2.Compression.ValueType | None"
) -> environment_pb2.ScriptArchive:
    known = compression or environment_pb2.COMPRESSION_UNSPECIFIED
    return environment_pb2.ScriptArchive(uri=name, compression=known, script=script)


def parse(text: str, notes: list[str] | None = None) -> environment_pb2.Environment:
    note = (notes if notes is not None else []).append
    files = environment_yaml.Files(directory=Path("/d"), read_image=image, read_archive=archive, note=note)
    return environment_yaml.parse(text, "d.dsc", {}, files)


def test_a_description_of_version_3_7_is_read_with_all_that_it_says() -> None:
    notes: list[str] = []
    read = parse(OF_37, notes)
    assert (read.alias, read.architecture, read.destructive) == ("debian-x64-min", "x86_64", True)
    assert dict(read.custom_variables) == {"BOOTLOADER_NO_GRUB_FROM_DEST": "1"}
    [post] = read.postinstalls
    assert (post.script, list(post.script_arguments)) == ("postinstall", ["--net", "debian", "--note", "two words"])
    assert (read.boot.kexec_refused, read.running_system_refused, read.partition_type_id) == (True, True, 131)
    assert notes == ["d.dsc, line 29: options.tuned is not used: no such option is known"]


def test_a_description_of_version_3_0_is_read() -> None:
    read = parse(OF_30)
    assert (read.name, read.version, read.destructive, read.file_system) == ("lenny-x64-base", 2, True, "ext3")
    assert (read.image.uri, read.image.kind) == (
        "http://www.example.org/images/lenny.tgz",
        environment_pb2.IMAGE_KIND_TAR,
    )
    assert [(each.uri, each.script, each.compression) for each in read.postinstalls] == [
        ("server:///srv/post.tgz", "traitement.ash", environment_pb2.COMPRESSION_GZIP),
        ("server:///srv/more.tbz2", "none", environment_pb2.COMPRESSION_BZIP2),
    ]
    assert (read.boot.kernel_path, read.boot.initrd_path) == ("/boot/vmlinuz-2.6.26", "/boot/initrd.img-2.6.26")
    assert (read.partition_type_id, read.visibility) == (0x83, environment_pb2.VISIBILITY_SHARED)


def test_an_archive_without_a_script_is_unpacked_and_runs_nothing() -> None:
    read = parse(NO_SCRIPT)
    assert (read.preinstall.script, read.postinstalls[0].script) == ("none", "none")


def test_all_faults_of_a_description_are_said_with_their_lines() -> None:
    with pytest.raises(SeveralProblems) as refused:
        parse(FAULTS)
    lines = refused.value.message.splitlines()
    for number, words in (
        (2, "colour: is no key here"),
        (3, "version: a whole number from 1"),
        (4, "visibility: one of private, shared, public"),
        (5, "os: one of linux, xen, other"),
        (6, "image.kind: fsa images are not offered"),
        (6, "image.compression: one of none, gzip"),
        (8, "postinstalls[0]: archive is missing"),
        (9, "postinstalls[1].script: has a quote without its end"),
        (10, "custom_variables: a mapping"),
        (12, "multipart: environments of several partitions are not offered"),
    ):
        assert any(line.startswith(f"d.dsc, line {number}: {words}") for line in lines), (number, words, lines)


def test_an_image_of_a_whole_disk_says_where_its_system_is() -> None:
    text = "name: w\nos: linux\nimage: {file: w, kind: dd, compression: none}\npartition_type: 0\n"
    read = parse(f"{text}boot: {{kernel: /vmlinuz, partition: 2}}\n")
    assert (read.image.whole_disk, read.boot.partition, read.partition_type_id) == (True, 2, 0x83)
    assert parse(text).boot.kind == environment_pb2.BOOT_KIND_CHAINLOAD
    with pytest.raises(UsageFailure, match="partition is missing"):
        parse(f"{text}boot: {{kernel: /vmlinuz}}\n")
    with pytest.raises(UsageFailure, match="0 is for raw images"):
        parse(NO_SCRIPT + "partition_type: 0\n")
