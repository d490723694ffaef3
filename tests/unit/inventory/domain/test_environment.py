"""Environments: what belongs together, and what is refused."""

from dataclasses import replace

import pytest

from kadeploy_inventory.domain.cluster import EnvironmentReference
from kadeploy_inventory.domain.environment import (
    BootKind,
    BootSpec,
    Environment,
    ImageKind,
    Visibility,
    check_environment,
    choose,
)
from kadeploy_inventory.domain.problems import Problems
from kadeploy_inventory.domain.script_archive import Compression
from tests.unit.inventory.builders import archive, environment

IMAGE = environment().image
PRIVATE, SHARED, PUBLIC = Visibility.PRIVATE, Visibility.SHARED, Visibility.PUBLIC


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
        (environment(postinstalls=(archive(),) * 17), "environment.postinstalls"),
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


def chosen(candidates: list[Environment], *, sees_all: bool = False, **reference: object) -> str:
    wanted = EnvironmentReference(name="debian", **reference)  # type: ignore[arg-type]
    found = choose(candidates, wanted, user="alice", sees_all=sees_all)
    return f"{found.owner} {found.version}" if found else "none"


def test_one_s_own_comes_before_a_public_one() -> None:
    others = environment(owner="root", version=9, visibility=PUBLIC)
    assert chosen([others, environment(version=1), environment(version=2)]) == "alice 2"


def test_a_public_one_is_found_without_naming_its_owner_and_a_shared_one_is_not() -> None:
    assert chosen([environment(owner="root", visibility=PUBLIC)]) == "root 1"
    assert chosen([environment(owner="bob", visibility=SHARED)]) == "none"


def test_a_shared_one_is_found_by_naming_its_owner_and_a_private_one_is_not() -> None:
    assert chosen([environment(owner="bob", visibility=SHARED)], owner="bob") == "bob 1"
    assert chosen([environment(owner="bob", visibility=PRIVATE)], owner="bob") == "none"
    assert chosen([environment(owner="bob", visibility=PRIVATE)], owner="bob", sees_all=True) == "bob 1"


def test_naming_an_owner_leaves_out_one_s_own() -> None:
    assert chosen([environment()], owner="bob") == "none"


def test_a_version_that_is_named_is_the_one() -> None:
    versions = [environment(version=number) for number in (1, 2, 3)]
    assert chosen(versions, version=2) == "alice 2"
    assert chosen(versions, version=4) == "none"


def test_the_latest_private_one_does_not_hide_an_earlier_shared_one() -> None:
    versions = [environment(owner="bob", version=1, visibility=SHARED), environment(owner="bob", version=2)]
    assert chosen(versions, owner="bob") == "bob 1"
