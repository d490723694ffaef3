"""The description of a cluster's profile in YAML."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadeploy.inventory.v1 import cluster_pb2, environment_pb2, power_driver_pb2
from kadeploy_cli.descriptions import cluster_profile
from kadeploy_cli.descriptions.text import DescriptionFailure

WHOLE = """
first_check_timeout: 210
last_check_timeout: 2.5
step_policies:
  format: {timeout: 60, retries: 1}
reboot_window: {size: 20, pause: 3}
commands:
  soft_reboot: []
  hard_reboot: ipmitool -H {bmc} -f '/etc/my file' chassis power reset
  console: [conman, "{name}"]
reboot_ladder: [soft, hard, very_hard]
deployment_kernel_label: deploy
deployment_kernel_arguments: quiet
kernel_arguments: console=ttyS0
mkfs_options:
  ext4: -O ^metadata_csum
preinstall: {archive: pre.tgz}
default_environment: {name: base, version: 3, owner: root, device: /dev/sda, partition: 2}
default_device: /dev/vda
default_partition: 0x3
partition_on_deploy: yes
boot_method: grub
power: {driver: ipmi, user: admin, password_file: /etc/kadeploy/bmc, cipher_suite: 17}
bmc_address: '{node_short}-bmc'
power_group_label: pdu
group_commands: [very_hard_reboot, power_off]
"""


def parse(text: str) -> tuple[cluster_pb2.ClusterProfile, list[str]]:
    return cluster_profile.parse(
        text,
        "p.yaml",
        directory=Path("/etc"),
        read_archive=lambda name, directory, script: environment_pb2.ScriptArchive(
            uri=str(directory / name), script=script
        ),
    )


def test_every_key_of_a_profile_is_read() -> None:
    profile, fields = parse(WHOLE)
    assert set(fields) == {field.name for field in cluster_pb2.ClusterProfile.DESCRIPTOR.fields}
    assert (profile.last_check_timeout.seconds, profile.last_check_timeout.nanos) == (2, 500_000_000)
    assert (profile.step_policies[0].step, profile.step_policies[0].retries) == ("format", 1)
    assert list(profile.commands.hard_reboot.arguments)[3:5] == ["-f", "/etc/my file"]
    assert not profile.commands.soft_reboot.arguments
    assert list(profile.commands.console.arguments) == ["conman", "{name}"]
    assert [cluster_pb2.RebootLevel.Name(level)[13:] for level in profile.reboot_ladder] == [
        "SOFT",
        "HARD",
        "VERY_HARD",
    ]
    assert dict(profile.mkfs_options) == {"ext4": "-O ^metadata_csum"}
    assert (profile.preinstall.uri, profile.preinstall.script) == ("/etc/pre.tgz", "init.ash")
    assert profile.default_environment.environment.version == 3
    assert (profile.default_environment.device, profile.default_device, profile.default_partition) == ("sda", "vda", 3)
    assert profile.partition_on_deploy
    assert profile.boot_method == cluster_pb2.BOOT_METHOD_GRUB


def test_a_key_with_nothing_behind_it_takes_away_what_stood_there() -> None:
    profile, fields = parse("preinstall:\nkernel_arguments: ''\n")
    assert fields == ["preinstall", "kernel_arguments"]
    assert not profile.HasField("preinstall")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "p.yaml: is empty"),
        ("- a\n", "p.yaml, line 1: a mapping (key: value) is expected"),
        ("a: b: c\n", "p.yaml, line 1: is not YAML"),
        ("nonsense: 1\n", "p.yaml, line 1: nonsense: is no key here"),
        ("\nfirst_check_timeout: soon\n", "p.yaml, line 2: first_check_timeout: a number of seconds"),
        ("first_check_timeout: -1\n", "p.yaml, line 1: first_check_timeout: a number of seconds"),
        ("first_check_timeout: nan\n", "p.yaml, line 1: first_check_timeout: a number of seconds"),
        ("default_partition: 1_0\n", "p.yaml, line 1: default_partition: a whole number"),
        ("reboot_ladder: [soft, gentle]\n", "p.yaml, line 1: reboot_ladder[1]: one of soft, hard, very_hard"),
        ("commands:\n  hard_reboot: {bmc}\n", "p.yaml, line 2: commands.hard_reboot: a text is expected (in quotes"),
        ("commands:\n  reset: x\n", "p.yaml, line 2: commands.reset: is no key here"),
        ("commands:\n  console: a 'b\n", "p.yaml, line 2: commands.console: the line cannot be split"),
        ("default_device: a\ndefault_device: b\n", "p.yaml, line 2: default_device: stands twice"),
        ("partition_on_deploy: maybe\n", "p.yaml, line 1: partition_on_deploy: true or false"),
        ("boot_method: nogrub\n", "p.yaml, line 1: boot_method: one of network, grub, chainload, kexec"),
        ("preinstall: {script: x}\n", "p.yaml, line 1: preinstall: archive is missing"),
        ("? [a]\n: b\n", "p.yaml, line 1: a word is expected as key"),
        ("[" * 5000, "p.yaml: is nested too deep"),
    ],
)
def test_a_wrong_profile_names_line_and_key(text: str, expected: str) -> None:
    with pytest.raises(DescriptionFailure) as caught:
        parse(text)
    assert caught.value.message.startswith(expected)


YAML_LINES = st.sampled_from(WHOLE.splitlines()) | st.text(alphabet="abc:-[]{}&*!|>'\"#%@` \t0123", max_size=15)


@given(st.lists(YAML_LINES, max_size=15).map("\n".join) | st.text(max_size=100))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    said = "p.yaml"
    try:
        parse(text)
    except DescriptionFailure as failure:
        said = failure.message
    assert said.startswith("p.yaml")


def test_a_power_driver_is_read() -> None:
    text = (
        "power: {driver: redfish, user: admin, password_file: /etc/kadeploy/bmc, address: '{name}-mgmt:8443', "
        "ca_file: /etc/kadeploy/bmc-ca.pem, system: /redfish/v1/Systems/1}\n"
    )
    profile, fields = parse(text)
    assert fields == ["power_driver"]
    assert profile.power_driver == power_driver_pb2.PowerDriver(
        kind=power_driver_pb2.POWER_DRIVER_KIND_REDFISH,
        user="admin",
        password_file="/etc/kadeploy/bmc",
        address="{name}-mgmt:8443",
        ca_file="/etc/kadeploy/bmc-ca.pem",
        system="/redfish/v1/Systems/1",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("power: {driver: ipmi, user: admin}\n", "password_file is missing: power has driver, user and password_file"),
        ("power: {driver: snmp, user: a, password_file: /a}\n", "ipmi"),
        ("power: {driver: ipmi, user: a, password_file: /a, password: b}\n", "password"),
    ],
)
def test_a_power_driver_that_cannot_be_is_told(text: str, sentence: str) -> None:
    with pytest.raises(DescriptionFailure, match=sentence):
        parse(text)
