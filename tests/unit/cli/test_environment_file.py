"""The classic description of an environment: "key = value" lines."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.descriptions import environment_file, settings_file
from kadeploy_cli.descriptions.settings_file import KEYS
from kadeploy_cli.terminal.failures import UsageFailure

TEXT = """
name = debian
kernelpath = /boot/vmlinuz   \t
initrdpath = /boot/initrd
kernelparam = "root=LABEL=a console=ttyS0"
filebase = debian.tgz
"""


def build(text: str) -> environment_pb2.Environment:
    return environment_file.build(
        settings_file.parse(text, "d.env"),
        owner="",
        directory=Path("/images"),
        read_image=lambda name, directory, _: environment_pb2.Image(
            uri=f"file://{directory / name}", kind=environment_pb2.IMAGE_KIND_TAR
        ),
        read_archive=lambda name, directory, script: environment_pb2.ScriptArchive(
            uri=f"file://{directory / name}", script=script
        ),
    )


def test_a_short_description_gets_the_defaults() -> None:
    environment = build(TEXT)
    assert (environment.version, environment.partition_type_id, environment.file_system) == (1, 0x83, "ext4")
    assert environment.visibility == environment_pb2.VISIBILITY_PRIVATE
    assert environment.boot.kernel_path == "/boot/vmlinuz"
    assert environment.boot.kernel_arguments == "root=LABEL=a console=ttyS0"
    assert not environment.postinstalls


def test_a_script_other_than_the_usual_one_can_be_named() -> None:
    environment = build(TEXT + "filesite = post.tar.xz\nscript = run.sh\n")
    assert environment.postinstalls[0].script == "run.sh"


def test_the_pieces_of_a_multiboot_keep_their_arguments() -> None:
    text = "name=x\nfilebase=x.tgz\nkernelpath=mboot.c32\ninitrdpath=/xen.gz dom0_mem=1G --- /vmlinuz ro --- /initrd\n"
    boot = build(text).boot
    assert boot.kind == environment_pb2.BOOT_KIND_MULTIBOOT
    assert (boot.hypervisor_path, boot.hypervisor_arguments) == ("/xen.gz", "dom0_mem=1G")
    assert (boot.kernel_path, boot.kernel_arguments, boot.initrd_path) == ("/vmlinuz", "ro", "/initrd")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name debian\n", 'd.env, line 1: "key = value" is expected'),
        ("\nnam = debian\n", "d.env, line 2: 'nam' is no key"),
        ("name = a\nname = b\n", "d.env, line 2: name stands on line 1 already"),
        (TEXT + "version = 0\n", "d.env, line 7: version is a whole number from 1"),
        (TEXT + "size = 1.5\n", "d.env, line 7: size is a whole number from 0"),
        (TEXT + "fdisktype = 8g\n", "d.env, line 7: fdisktype is a byte in hex"),
        (TEXT + "visibility = secret\n", "d.env, line 7: visibility is one of private, shared, public"),
        ("name = a\nkernelpath = b\n", "the environment has no filebase"),
    ],
)
def test_a_wrong_value_is_named(text: str, expected: str) -> None:
    with pytest.raises(UsageFailure) as caught:
        build(text)
    assert caught.value.message.startswith(expected)


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.text(max_size=20)), max_size=10))
def test_any_values_are_read_or_refused_with_a_sentence(pairs: list[tuple[str, str]]) -> None:
    try:
        said = build("".join(f"{key} = {value}\n" for key, value in pairs)).name
    except UsageFailure as failure:
        said = failure.message
    assert said
