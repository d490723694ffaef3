"""What a profile says of supplies that nodes share."""

import pytest

from kadeploy_inventory.domain.cluster import Cluster, ClusterProfile, check_cluster
from kadeploy_inventory.domain.problems import Problems


def problems_of(profile: ClusterProfile) -> list[str]:
    problems = Problems()
    check_cluster(Cluster(name="c", profile=profile), problems)
    return [each.field for each in problems.found]


def test_the_hardest_reboot_takes_the_supply_unless_the_profile_says_otherwise() -> None:
    assert ClusterProfile().with_defaults().group_commands == ()
    assert ClusterProfile(power_group_label="pdu").with_defaults().group_commands == ("very_hard_reboot",)
    said = ClusterProfile(power_group_label="pdu", group_commands=("power_off", "power_on"))
    assert said.with_defaults().group_commands == ("power_off", "power_on")
    assert problems_of(said) == []


@pytest.mark.parametrize(
    ("profile", "field"),
    [
        (ClusterProfile(power_group_label="a b"), "profile.power_group_label"),
        (ClusterProfile(power_group_label="pdu", group_commands=("console",)), "profile.group_commands"),
        (ClusterProfile(group_commands=("power_off",)), "profile.group_commands"),
    ],
)
def test_what_cannot_be_is_refused(profile: ClusterProfile, field: str) -> None:
    assert problems_of(profile) == [field]
