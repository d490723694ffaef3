"""Environments: what belongs together, and what is refused."""

from dataclasses import replace

import pytest

from kadeploy_inventory.domain.environment import (
    BootKind,
    BootSpec,
    Environment,
    ImageKind,
    check_environment,
)
from kadeploy_inventory.domain.problems import Problems
from kadeploy_inventory.domain.script_archive import Compression
from tests.unit.inventory.builders import archive, environment

IMAGE = environment().image


def checked(description: Environment) -> tuple[Environment, list[str]]:
    problems = Problems("environment")
    result = check_environment(description, problems)
    return result, [each.field for each in problems.found]


def test_what_is_left_out_is_filled_in() -> None:
    described = environment(version=0, partition_type_id=0, preinstall=archive(), postinstalls=(archive(),))
    result, fields = checked(described)
    assert fields == []
    assert (result.version, result.partition_type_id) == (1, 0x83)
    assert result.preinstall is not None
    assert result.preinstall.script == "init.ash"
    assert result.postinstalls[0].script == "traitement.ash"


@pytest.mark.parametrize(
    ("spoilt", "field"),
    [
        (environment("swap"), "environment.name"),
        (environment("../debian"), "environment.name"),
        (environment(version=-1), "environment.version"),
        (environment(owner=""), "environment.owner"),
        (environment(description="a\nb"), "environment.description"),
        (environment(file_system=""), "environment.file_system"),
        (environment(partition_type_id=256), "environment.partition_type_id"),
        (environment(required_size_bytes=-1), "environment.required_size_bytes"),
        (environment(image=replace(IMAGE, uri="/srv/a")), "environment.image.uri"),
        (environment(image=replace(IMAGE, digest="")), "environment.image.digest"),
        (environment(image=replace(IMAGE, kind=ImageKind.UNSPECIFIED)), "environment.image.kind"),
        (environment(image=replace(IMAGE, compression=Compression.UNSPECIFIED)), "environment.image.compression"),
        (environment(image=replace(IMAGE, size_bytes=-1)), "environment.image.size_bytes"),
        (environment(postinstalls=(archive(), archive(uri="x"))), "environment.postinstalls[1].uri"),
        (environment(postinstalls=(archive(script="../x"),)), "environment.postinstalls[0].script"),
        (environment(boot=BootSpec()), "environment.boot.kernel_path"),
        (environment(boot=BootSpec(kernel_path="vmlinuz")), "environment.boot.kernel_path"),
        (environment(boot=BootSpec(kernel_path="/k", kernel_arguments="a\0")), "environment.boot.kernel_arguments"),
        (environment(boot=BootSpec(kernel_path="/k", hypervisor_path="/x")), "environment.boot.hypervisor_path"),
        (
            environment(boot=BootSpec(kind=BootKind.CHAINLOAD, kernel_path="/k")),
            "environment.boot.kernel_path",
        ),
        (
            environment(boot=BootSpec(kind=BootKind.MULTIBOOT, kernel_path="/k")),
            "environment.boot.hypervisor_path",
        ),
    ],
)
def test_a_problem_names_the_field(spoilt: Environment, field: str) -> None:
    assert checked(spoilt)[1] == [field]


@pytest.mark.parametrize(
    "right",
    [
        environment(boot=BootSpec(kind=BootKind.CHAINLOAD)),
        environment(boot=BootSpec(kind=BootKind.MULTIBOOT, kernel_path="/k", hypervisor_path="/xen.gz")),
        environment(image=replace(IMAGE, kind=ImageKind.DD), file_system=""),
    ],
)
def test_other_ways_to_boot_and_to_write_are_accepted(right: Environment) -> None:
    assert checked(right)[1] == []
