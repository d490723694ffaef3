"""How a new system boots, when several have a say."""

from typing import Any

import pytest

from kadeploy_deployer.domain import boot_choice
from kadeploy_deployer.domain.states import BootMethod
from kadeploy_deployer.domain.vocabulary import BootKind, ImageKind, OperatingSystem
from tests.fakes import snapshots

NETWORK, GRUB, CHAINLOAD, KEXEC = BootMethod
RAW = {"kind": ImageKind.DD}
OWN_LOADER = {"boot_kind": BootKind.CHAINLOAD, "kernel_path": "", "initrd_path": ""}


@pytest.mark.parametrize(
    ("asked", "environment", "default", "expected"),
    [
        (None, {}, NETWORK, NETWORK),
        (None, {}, GRUB, GRUB),
        (None, {}, KEXEC, KEXEC),
        (GRUB, {}, NETWORK, GRUB),
        (NETWORK, {}, KEXEC, NETWORK),
        (None, OWN_LOADER, NETWORK, CHAINLOAD),
        (None, OWN_LOADER, GRUB, CHAINLOAD),
        (None, RAW, NETWORK, GRUB),
        (None, RAW, KEXEC, KEXEC),
        (None, RAW | OWN_LOADER, KEXEC, CHAINLOAD),
        (None, RAW | {"file_system": "ufs"}, NETWORK, CHAINLOAD),
        (None, RAW | {"file_system": "", "operating_system": OperatingSystem.OTHER}, NETWORK, CHAINLOAD),
        (None, RAW | {"whole_disk": True, "system_partition": 0}, NETWORK, CHAINLOAD),
        (None, RAW | {"whole_disk": True, "system_partition": 2}, NETWORK, GRUB),
        (None, {"kexec_refused": True}, KEXEC, NETWORK),
        (None, RAW | {"kexec_refused": True}, KEXEC, GRUB),
        (CHAINLOAD, RAW, NETWORK, CHAINLOAD),
        (None, {"boot_kind": BootKind.MULTIBOOT}, GRUB, NETWORK),
    ],
)
def test_the_request_s_word_comes_first_then_the_environment_s_need_then_the_cluster_s(
    asked: BootMethod | None, environment: dict[str, Any], default: BootMethod, expected: BootMethod
) -> None:
    assert boot_choice.chosen(asked, snapshots.an_environment(**environment), default=default) is expected


@pytest.mark.parametrize(
    ("method", "environment", "by_grub", "by_loader"),
    [
        (NETWORK, {}, False, False),
        (KEXEC, {}, False, False),
        (GRUB, {}, True, False),
        (CHAINLOAD, {}, False, True),
        (CHAINLOAD, OWN_LOADER, False, True),
        # A raw image that kexec started has no kernel on the TFTP host: its next boot comes from its disk.
        (KEXEC, RAW, True, False),
        (GRUB, RAW, True, False),
        (CHAINLOAD, RAW, False, True),
    ],
)
def test_the_boot_entry_follows_the_method_and_the_kind_of_image(
    method: BootMethod, environment: dict[str, Any], *, by_grub: bool, by_loader: bool
) -> None:
    wanted = snapshots.an_environment(**environment)
    assert boot_choice.boots_by_grub(method, wanted) is by_grub
    assert boot_choice.chainloads(method, wanted) is by_loader
