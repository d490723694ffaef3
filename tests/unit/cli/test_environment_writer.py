"""Every environment that can be recorded is printed as a description that is read as the same environment."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kadeploy.inventory.v1 import environment_pb2
from kadeploy_cli.descriptions import environment_writer, environment_yaml
from kadeploy_cli.environments.image_files import Kind
from kadeploy_inventory.domain.environment import check_environment
from kadeploy_inventory.domain.problems import Problems
from kadeploy_inventory.rpc.environment_messages import environment_from_message, environment_to_message

DIGEST = f"sha256:{'ab' * 32}"
SIZE = 7
NAMES = st.from_regex(r"[a-z][a-z0-9._-]{0,20}", fullmatch=True)
LINES = st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=30)
PATHS = st.from_regex(r"(/[A-Za-z0-9._ -]*[A-Za-z0-9])+", fullmatch=True)
COMPRESSIONS = st.sampled_from([number for number in environment_pb2.Compression.values() if number])


def archives() -> st.SearchStrategy[environment_pb2.ScriptArchive]:
    scripts = st.from_regex(r"[A-Za-z0-9_.'\" -]{0,10}[A-Za-z0-9_]", fullmatch=True)
    return st.builds(
        environment_pb2.ScriptArchive,
        uri=PATHS.map("file://{}".format),
        compression=COMPRESSIONS,
        digest=st.just(DIGEST),
        size_bytes=st.just(SIZE),
        script=scripts,
        script_arguments=st.lists(LINES | st.just("/rambin"), max_size=3),
    )


def boots() -> st.SearchStrategy[environment_pb2.BootSpec]:
    return st.builds(
        environment_pb2.BootSpec,
        kind=st.sampled_from([number for number in environment_pb2.BootKind.values() if number]),
        kernel_path=PATHS,
        initrd_path=PATHS | st.just(""),
        kernel_arguments=LINES,
        hypervisor_path=PATHS | st.just(""),
        hypervisor_arguments=LINES,
        kexec_refused=st.booleans(),
        partition=st.integers(0, 128),
    )


def environments() -> st.SearchStrategy[environment_pb2.Environment]:
    return st.builds(
        environment_pb2.Environment,
        name=NAMES,
        alias=NAMES | st.just(""),
        architecture=st.sampled_from(["", "x86_64", "aarch64"]),
        version=st.integers(1, (1 << 31) - 1),
        description=LINES,
        author=LINES,
        visibility=st.sampled_from([number for number in environment_pb2.Visibility.values() if number]),
        operating_system=st.sampled_from([number for number in environment_pb2.OperatingSystem.values() if number]),
        image=st.builds(
            environment_pb2.Image,
            uri=PATHS.map("file://{}".format) | PATHS.map("https://images.example.org{}".format),
            kind=st.sampled_from([environment_pb2.IMAGE_KIND_TAR, environment_pb2.IMAGE_KIND_DD]),
            compression=COMPRESSIONS,
            digest=st.just(DIGEST),
            size_bytes=st.just(SIZE),
            whole_disk=st.booleans(),
        ),
        boot=boots(),
        preinstall=st.none() | archives(),
        postinstalls=st.lists(archives(), max_size=3),
        file_system=st.sampled_from(["", "ext4", "xfs", "ufs"]),
        partition_type_id=st.integers(1, 255),
        required_size_bytes=st.integers(0, 1 << 45) | st.just(5 << 20),
        options=LINES,
        cluster=st.just("") | NAMES,
        destructive=st.booleans(),
        custom_variables=st.dictionaries(
            st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}|null|yes|Y", fullmatch=True), LINES, max_size=3
        ),
        running_system_refused=st.booleans(),
    )


def recorded(message: environment_pb2.Environment) -> environment_pb2.Environment | None:
    """Returns what the inventory would record, None for what it refuses."""
    if message.boot.kind == environment_pb2.BOOT_KIND_CHAINLOAD:
        for field in ("kernel_path", "initrd_path", "kernel_arguments", "hypervisor_path", "hypervisor_arguments"):
            message.boot.ClearField(field)
    problems = Problems()
    message.owner = "alice"
    found = environment_to_message(check_environment(environment_from_message(message), problems))
    return None if problems else found


def read_image(name: str, _directory: Path, kind: Kind | None) -> environment_pb2.Image:
    assert kind is not None
    return environment_pb2.Image(uri=name, kind=kind[0], compression=kind[1], digest=DIGEST, size_bytes=SIZE)


def read_archive(name: str, _directory: Path, script: str, compression: Any) -> environment_pb2.ScriptArchive:
    return environment_pb2.ScriptArchive(
        uri=name, compression=compression, digest=DIGEST, size_bytes=SIZE, script=script
    )


def read(text: str) -> environment_pb2.Environment:
    notes: list[str] = []
    files = environment_yaml.Files(
        directory=Path("/"), read_image=read_image, read_archive=read_archive, note=notes.append
    )
    found = environment_yaml.parse(text, "printed", {}, files)
    assert not notes
    again = recorded(found)
    assert again is not None
    return again


@pytest.mark.parametrize("write", [environment_writer.to_yaml, environment_writer.to_json])
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(message=environments())
def test_what_is_printed_is_read_as_the_same(write: Any, message: environment_pb2.Environment) -> None:
    if message.boot.kind != environment_pb2.BOOT_KIND_MULTIBOOT:
        message.boot.ClearField("hypervisor_path")
        message.boot.ClearField("hypervisor_arguments")
        if message.operating_system == environment_pb2.OPERATING_SYSTEM_XEN:
            message.boot.kind = environment_pb2.BOOT_KIND_CHAINLOAD
    if message.image.kind == environment_pb2.IMAGE_KIND_TAR:
        message.image.whole_disk = False
    if not message.image.whole_disk:
        message.boot.partition = 0
    known = recorded(message)
    if known is None:
        return
    text = write(known)
    assert text.isprintable() or all(letter.isprintable() or letter == "\n" for letter in text)
    assert read(text) == known
