"""How kadeploy's options become a request."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy.deployer.v1 import deployment_pb2
from kadeploy_cli.deployments import spec as deployment_spec
from kadeploy_cli.deployments.spec import Options
from kadeploy_cli.terminal.failures import UsageFailure


@pytest.mark.parametrize(
    ("partition", "device", "expected"),
    [
        (None, None, ("", 0)),
        ("3", None, ("", 3)),
        ("vda3", None, ("vda", 3)),
        ("/dev/sda12", None, ("sda", 12)),
        ("nvme0n1p3", None, ("nvme0n1", 3)),
        ("mmcblk0p2", None, ("mmcblk0", 2)),
        ("3", "/dev/nvme0n1", ("nvme0n1", 3)),
        ("sda3", "sda", ("sda", 3)),
        (None, "sdb", ("sdb", 0)),
    ],
)
def test_targets_are_written_in_the_usual_ways(
    partition: str | None, device: str | None, expected: tuple[str, int]
) -> None:
    assert deployment_spec.target(partition, device) == expected


@pytest.mark.parametrize(
    ("partition", "device"), [("0", None), ("sda", None), ("3x", None), ("sdb3", "sda"), ("3", "../sda"), ("-1", None)]
)
def test_what_is_no_target_is_refused(partition: str, device: str | None) -> None:
    with pytest.raises(UsageFailure):
        deployment_spec.target(partition, device)


@given(st.text(max_size=12))
def test_any_partition_word_is_read_or_refused(word: str) -> None:
    try:
        _, number = deployment_spec.target(word, None)
    except UsageFailure:
        return
    assert number >= 0


def test_waiting_needs_an_end() -> None:
    with pytest.raises(UsageFailure, match="--wait-timeout"):
        deployment_spec.build(Options(environment="x", machines=["n"], busy="wait"))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, deployment_pb2.BOOT_METHOD_UNSPECIFIED),
        ({"boot_method": "network"}, deployment_pb2.BOOT_METHOD_NETWORK),
        ({"boot_method": "grub"}, deployment_pb2.BOOT_METHOD_GRUB),
        ({"boot_method": "chainload"}, deployment_pb2.BOOT_METHOD_CHAINLOAD),
        ({"boot_method": "kexec"}, deployment_pb2.BOOT_METHOD_KEXEC),
        ({"kexec": True}, deployment_pb2.BOOT_METHOD_KEXEC),
        ({"grub": True}, deployment_pb2.BOOT_METHOD_GRUB),
        ({"grub": True, "boot_method": "grub"}, deployment_pb2.BOOT_METHOD_GRUB),
    ],
)
def test_the_new_system_boots_in_the_way_that_was_said(said: dict[str, Any], expected: int) -> None:
    assert deployment_spec.build(Options(environment="x", machines=["n"], **said)).boot_method == expected


@pytest.mark.parametrize(
    "said",
    [{"grub": True, "kexec": True}, {"boot_method": "network", "kexec": True}, {"boot_method": "kexec", "grub": True}],
)
def test_two_ways_to_boot_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(UsageFailure, match="say different things"):
        deployment_spec.build(Options(environment="x", machines=["n"], **said))
