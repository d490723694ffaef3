"""The list of packages of the deployment environment."""

import pytest
from environments.debian_system import installed_packages

from deployenv.failure import BuildFailure
from deployenv.packages import newest_kernel


def test_the_kernel_is_taken_from_the_package_that_stands_for_it() -> None:
    listing = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n  Suggests: other\n"

    assert newest_kernel(listing) == "linux-image-6.1.0-56-cloud-amd64"


def test_no_kernel_is_said_in_one_sentence() -> None:
    with pytest.raises(BuildFailure, match="apt knows no kernel"):
        newest_kernel("linux-image-cloud-amd64\n")


def test_versions_are_read_from_dpkgs_status() -> None:
    status = "Package: tar\nVersion: 1.34\nDescription: packs\n files: many\n\nPackage: zstd\nVersion: 1.5\n"

    assert installed_packages(status) == {"tar": "1.34", "zstd": "1.5"}
