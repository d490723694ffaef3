"""Clusters and their profiles: defaults and bounds."""

from dataclasses import replace
from datetime import timedelta

import pytest

from kadeploy_inventory.domain.cluster import (
    BootMethod,
    Cluster,
    ClusterProfile,
    DefaultEnvironment,
    EnvironmentReference,
    RebootLevel,
    RebootWindow,
    StepPolicy,
    check_cluster,
)
from kadeploy_inventory.domain.command_template import CommandTemplates
from kadeploy_inventory.domain.problems import Problems
from tests.unit.inventory.builders import archive


def wrong(profile: ClusterProfile) -> list[str]:
    problems = Problems("cluster")
    check_cluster(Cluster(name="default", profile=profile), problems)
    return [each.field for each in problems.found]


def test_an_empty_profile_is_right_and_has_the_defaults_of_the_contract() -> None:
    assert wrong(ClusterProfile()) == []
    filled = ClusterProfile().with_defaults()
    assert filled.first_check_timeout == timedelta(seconds=210)
    assert filled.last_check_timeout == timedelta(seconds=250)
    assert filled.reboot_window == RebootWindow(size=50, pause=timedelta(seconds=10))
    assert filled.reboot_ladder == (RebootLevel.SOFT, RebootLevel.HARD)
    assert (filled.deployment_kernel_label, filled.default_device, filled.default_partition) == ("deploy", "sda", 3)


def test_what_is_described_wins_over_the_defaults() -> None:
    described = ClusterProfile(
        first_check_timeout=timedelta(seconds=5),
        last_check_timeout=timedelta(seconds=6),
        reboot_window=RebootWindow(size=1, pause=timedelta(0)),
        reboot_ladder=(RebootLevel.VERY_HARD,),
        deployment_kernel_label="rescue",
        default_device="vda",
        default_partition=1,
        boot_method=BootMethod.GRUB,
    )
    assert described.with_defaults() == described


@pytest.mark.parametrize(
    ("spoilt", "field"),
    [
        (ClusterProfile(first_check_timeout=timedelta(0)), "cluster.profile.first_check_timeout"),
        (ClusterProfile(last_check_timeout=timedelta(days=2)), "cluster.profile.last_check_timeout"),
        (ClusterProfile(reboot_window=RebootWindow(size=-1)), "cluster.profile.reboot_window.size"),
        (ClusterProfile(reboot_window=RebootWindow(pause=-timedelta(1))), "cluster.profile.reboot_window.pause"),
        (ClusterProfile(step_policies=(StepPolicy(step="A b"),)), "cluster.profile.step_policies[0].step"),
        (ClusterProfile(step_policies=(StepPolicy(step="a", retries=-1),)), "cluster.profile.step_policies[0].retries"),
        (
            ClusterProfile(step_policies=(StepPolicy(step="a"), StepPolicy(step="a"))),
            "cluster.profile.step_policies[1].step",
        ),
        (
            ClusterProfile(commands=CommandTemplates(power_on=("{x}",))),
            "cluster.profile.commands.power_on.arguments[0]",
        ),
        (ClusterProfile(reboot_ladder=(RebootLevel.UNSPECIFIED,)), "cluster.profile.reboot_ladder"),
        (ClusterProfile(kernel_arguments="a\nb"), "cluster.profile.kernel_arguments"),
        (ClusterProfile(deployment_kernel_label="A b"), "cluster.profile.deployment_kernel_label"),
        (ClusterProfile(mkfs_options={"Ext 4": ""}), "cluster.profile.mkfs_options"),
        (ClusterProfile(default_device="/dev/sda"), "cluster.profile.default_device"),
        (ClusterProfile(default_partition=129), "cluster.profile.default_partition"),
        (ClusterProfile(preinstall=replace(archive(), digest="x")), "cluster.profile.preinstall.digest"),
        (
            ClusterProfile(
                default_environment=DefaultEnvironment(
                    environment=EnvironmentReference(name="swap"), device="sda", partition=1
                )
            ),
            "cluster.profile.default_environment.environment.name",
        ),
    ],
)
def test_a_problem_names_the_field_of_the_profile(spoilt: ClusterProfile, field: str) -> None:
    assert wrong(spoilt) == [field]


def test_the_name_is_checked() -> None:
    problems = Problems("cluster")
    check_cluster(Cluster(name="Big One"), problems)
    assert problems.found[0].field == "cluster.name"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (EnvironmentReference(name="debian"), "debian"),
        (EnvironmentReference(name="debian", version=2, owner="bob"), "debian version 2 of bob"),
    ],
)
def test_a_reference_reads_as_people_say_it(reference: EnvironmentReference, words: str) -> None:
    assert str(reference) == words
